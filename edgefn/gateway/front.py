"""The boundary of requests: finds the handler, and turns every failure into an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.answer import Answer, error_answer
from edgefn.gateway.box_asks import ask_box, other_box
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import MalformedRequest
from edgefn.gateway.headers import ACCEPT, CONTENT_TYPE, REQUEST_ID, accepted_content
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.routes import resolve
from edgefn.gateway.state import Gateway
from edgefn.gateway.statuses import Shape
from edgefn_runtime.wire import Content

_LOG = logging.getLogger(__name__)


def make_front(gateway: Gateway) -> Callable[[web.BaseRequest], Awaitable[Answer]]:
    """Returns the handler of all requests, for aiohttp's server."""

    async def front(request: web.BaseRequest) -> Answer:
        connection = cast(Connection, request.protocol)
        connection.begin()
        try:
            route, parameters = resolve(request.method, _target(request))
            function = parameters[0] if route.names_function else ""
            gateway.guard.admit(request, connection, route.need, function)
            if route.of_any_box and (box := other_box(gateway, request)):
                return await ask_box(gateway, request, box)
            return await route.handler(gateway, request, parameters)
        except EdgefnError as error:
            # Frames that still hold it, as the one that was told to raise it, would be a cycle.
            error.__traceback__ = None
            return _refuse(request, error.body())
        except web.RequestPayloadError:
            return _refuse(request, MalformedRequest("the body is cut short or malformed").body())
        except (asyncio.CancelledError, ConnectionError):
            raise  # the caller is gone
        except Exception:
            connection.request_id = choose_request_id(request.headers.get(REQUEST_ID))
            _LOG.exception("request %s failed", connection.request_id)
            return _refuse(request, ErrorBody("internal", ""))
        finally:
            connection.end()

    return front


def _target(request: web.BaseRequest) -> str:
    target = request.raw_path
    return target if target.startswith("/") else "/" + request.path.lstrip("/")


def _refuse(request: web.BaseRequest, error: ErrorBody) -> Answer:
    connection = cast(Connection, request.protocol)
    request_id = connection.request_id or choose_request_id(request.headers.get(REQUEST_ID))
    unread = not request.content.is_eof()
    if unread:
        connection.discard_input()
    shape = _shape(request)
    return error_answer(error, request_id, shape, head=connection.answered_by, close=unread)


def _shape(request: web.BaseRequest) -> Shape:
    if request.raw_path.startswith("/v2"):
        return Shape.V2
    headers = request.headers
    asked = accepted_content(headers.get(ACCEPT)) or accepted_content(headers.get(CONTENT_TYPE))
    return Shape.MSGPACK if asked == Content.MSGPACK else Shape.JSON
