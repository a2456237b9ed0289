"""The answer to a request that failed, whatever it was and why."""

import logging
from typing import cast

from aiohttp import web

from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.answer import Answer, error_answer
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import MalformedRequest
from edgefn.gateway.headers import ACCEPT, CONTENT_TYPE, REQUEST_ID, accepted_content
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.statuses import Shape
from edgefn_runtime.wire import Content

_LOG = logging.getLogger(__name__)


def refuse(request: web.BaseRequest, error: Exception) -> Answer:
    """Returns the answer to a request that failed; for what is no refusal, logs why."""
    # Frames that still hold it, as the one that was told to raise it, would be a cycle.
    if isinstance(error, EdgefnError):
        error.__traceback__ = None
        return _refuse(request, error.body())
    if isinstance(error, web.RequestPayloadError):
        return _refuse(request, MalformedRequest("the body is cut short or malformed").body())
    connection = cast(Connection, request.protocol)
    connection.request_id = choose_request_id(request.headers.get(REQUEST_ID))
    _LOG.error("request %s failed", connection.request_id, exc_info=error)
    return _refuse(request, ErrorBody("internal", ""))


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
