"""The admin API and the metrics: asked of the box, which knows; blobs are taken here.

Who may ask is decided before (`guard.py`).
"""

from typing import Final

import msgspec
from aiohttp import web

from edgefn.errors import InvalidInput
from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.blobs import chunk_of
from edgefn.gateway.body import announced_bytes, read_body
from edgefn.gateway.connection import caller_of
from edgefn.gateway.control import Answered
from edgefn.gateway.errors import MalformedRequest, RequestTimeout
from edgefn.gateway.headers import CONTENT_LENGTH
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.state import Gateway

MAX_ADMIN_BODY_BYTES: Final = 4 * 1024 * 1024
_ASK_TIMEOUT_S: Final = 10.0
_LONG_ASK_TIMEOUT_S: Final = 920.0  # a deployment may install an environment first
_PULL_TIMEOUT_S: Final = 30.0  # a box waits for news for at most 20 s


async def ask(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Has the box answer a request of the admin API."""
    timeout_s = _ASK_TIMEOUT_S if request.method == "GET" else _LONG_ASK_TIMEOUT_S
    return await _asked(gateway, request, timeout_s)


async def logs(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Has the box answer with log lines, which may wait for the next one."""
    return await _asked(gateway, request, _LONG_ASK_TIMEOUT_S)


async def pull(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Has the box tell another one what that should serve, once it is something new."""
    return await _asked(gateway, request, _PULL_TIMEOUT_S)


async def metrics(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Has the box answer with the metrics of all gateways."""
    return await _asked(gateway, request, _ASK_TIMEOUT_S)


async def put_blob(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Takes a file of a bundle, or a part of one."""
    (digest,) = parameters
    chunk = chunk_of(query_of(request))
    size = await gateway.uploads.take(request, digest, chunk, gateway.config.body_timeout_s)
    return json_answer(msgspec.json.encode({"sha256": digest, "size": size}), status=201)


async def get_blob(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Sends a file of a bundle, or what a box lacks of one."""
    (digest,) = parameters
    return await gateway.downloads.answer(digest, request.headers.get("Range"))


async def _asked(gateway: Gateway, request: web.BaseRequest, timeout_s: float) -> Answer:
    body = b""
    if CONTENT_LENGTH in request.headers or request.can_read_body:
        length = announced_bytes(request, MAX_ADMIN_BODY_BYTES)
        late = RequestTimeout("the body did not come in time")
        body = await read_body(request, length, gateway.config.body_timeout_s, late)
    query = query_of(request)
    if query.get("box", gateway.config.box) != gateway.config.box:
        raise InvalidInput(f"{request.method} {request.path} cannot be asked of another box")
    gateway.report()
    method = "GET" if request.method == "HEAD" else request.method
    caller = caller_of(request)
    answered = await gateway.box.ask(
        method, request.path, query, body, timeout_s, caller.id, caller.name
    )
    return told_by_box(request, answered)


def told_by_box(request: web.BaseRequest, answered: Answered) -> Answer:
    """Returns what a box answered as the answer to a request."""
    if answered.status >= 400:
        return _refused(request, answered.status, answered.body)
    head = f"Content-Type: {answered.content_type}\r\n"
    return Answer(answered.status, head.encode("ascii"), answered.body)


def query_of(request: web.BaseRequest) -> dict[str, str]:
    """Returns the query of a request.

    Raises:
        MalformedRequest: It cannot be parsed.
    """
    try:
        return dict(request.query)
    except ValueError as error:
        raise MalformedRequest(f"the query cannot be parsed: {error}") from error


def _refused(request: web.BaseRequest, status: int, body: bytes) -> Answer:
    """Completes the box's error, which has no request id, with the request's."""
    request_id = choose_request_id(request.headers.get("X-Request-Id"))
    error = msgspec.json.decode(body, type=dict[str, object])
    error["request_id"] = request_id
    return json_answer(msgspec.json.encode(error), status=status)
