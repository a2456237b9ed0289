"""A call that needs no task: begun when its request is read, answered when its reply is.

A coroutine that awaits a reply goes on a turn of the loop after the reply came, and each turn asks
the system what else there is.
"""

from typing import cast

from aiohttp import web

from edgefn.errors import EdgefnError
from edgefn.gateway.answer import Answer
from edgefn.gateway.calling import HttpCall
from edgefn.gateway.connection import Connection
from edgefn.gateway.refusal import refuse
from edgefn.gateway.routes import Route
from edgefn.gateway.state import Gateway
from edgefn_runtime.wire import Reply


class DirectCall:
    """Does what `answer_call` does, for a call whose body is there (`direct_handler.Direct`).

    It is itself told what the call is answered (`call.Answered`).

    Args:
        gateway: That was called.
        route: Of a call.
        parameters: Of its path.
    """

    __slots__ = ("_gateway", "_http_call", "_parameters", "_request", "_route")

    def __init__(self, gateway: Gateway, route: Route, parameters: tuple[str, ...]) -> None:
        self._gateway = gateway
        self._route = route
        self._parameters = parameters
        self._request: web.BaseRequest | None = None
        self._http_call: HttpCall | None = None

    def begin(self, request: web.BaseRequest) -> Answer | None:
        """Sends the call; returns its answer if that is known at once.

        If it is not, the connection is told later, unless it says `left` before.
        """
        gateway, route, parameters = self._gateway, self._route, self._parameters
        connection = cast(Connection, request.protocol)
        connection.begin()
        self._request = request
        try:
            gateway.guard.admit(request, connection, route.need, parameters[0])
            assert route.called is not None
            called = route.called(gateway, parameters)
            http_call = self._http_call = HttpCall(gateway, request, called)
            call = http_call.begin(self)
            http_call.take_body(call)
            http_call.submit(call)
        except Exception as error:
            answer = self._refused(error)
            self._end()
            return answer
        return None

    def left(self) -> None:
        """The caller is gone."""
        if self._http_call is not None:
            self._http_call.left()
        self._end()

    def done(self) -> bool:
        """Whether it is answered, or no one is there to be."""
        return self._request is None

    def set_result(self, reply: Reply, /) -> None:
        """Answers with a reply."""
        assert self._http_call is not None
        try:
            answer = self._http_call.answer(reply)
        except Exception as error:
            answer = self._refused(error)
        self._tell(answer)

    def set_exception(self, error: EdgefnError, /) -> None:
        """Answers with an error."""
        self._tell(self._refused(error))

    def _refused(self, error: Exception) -> Answer:
        assert self._request is not None
        if self._http_call is not None and isinstance(error, EdgefnError):
            self._http_call.failed(error)
        return refuse(self._request, error)

    def _tell(self, answer: Answer) -> None:
        request = self._request
        assert request is not None
        self._end()
        cast(Connection, request.protocol).answered(request, answer)

    def _end(self) -> None:
        request, self._request = self._request, None
        http_call, self._http_call = self._http_call, None
        if http_call is not None:
            http_call.close()
        if request is not None:
            cast(Connection, request.protocol).end()
