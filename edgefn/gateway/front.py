"""The boundary of requests: finds the handler, and turns every failure into an answer."""

from typing import cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from edgefn.errors import EdgefnError
from edgefn.gateway.answer import Answer
from edgefn.gateway.box_asks import ask_box, other_box
from edgefn.gateway.connection import Connection
from edgefn.gateway.direct_call import DirectCall
from edgefn.gateway.refusal import refuse
from edgefn.gateway.routes import resolve
from edgefn.gateway.state import Gateway


class Front:
    """The handler of all requests, for aiohttp's server and for `Connection`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, request: web.BaseRequest) -> Answer:
        """Answers a request; called by aiohttp in a task of its own."""
        gateway, connection = self._gateway, cast(Connection, request.protocol)
        connection.begin()
        try:
            route, parameters = resolve(request.method, _target(request))
            function = parameters[0] if route.names_function else ""
            gateway.guard.admit(request, connection, route.need, function)
            if route.of_any_box and (box := other_box(gateway, request)):
                return await ask_box(gateway, request, box)
            return await route.handler(gateway, request, parameters)
        except ConnectionError:
            raise  # the caller is gone
        except Exception as error:
            return refuse(request, error)
        finally:
            connection.end()

    def direct_call(self, message: RawRequestMessage) -> DirectCall | None:
        """Returns the call that a request with this head is; None: it is none."""
        if message.path[:1] != "/":
            return None
        try:
            route, parameters = resolve(message.method, message.path)
        except EdgefnError:
            return None  # said again where it is answered
        if route.called is None:
            return None
        return DirectCall(self._gateway, route, parameters)


def _target(request: web.BaseRequest) -> str:
    target = request.raw_path
    return target if target.startswith("/") else "/" + request.path.lstrip("/")
