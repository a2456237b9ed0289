"""The admin API and the metrics: asked of the box, which knows; blobs are taken here.

The admin API is for programs on this machine. A web page in a browser on this machine is none:
it is refused by its `Origin`, and if it hides behind a name that resolves to a loopback address
(DNS rebinding) by the name in `Host`. A request that a proxy forwards is not from this machine
either.
"""

import ipaddress
from typing import Final

import msgspec
from aiohttp import web

from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.blobs import chunk_of
from edgefn.gateway.body import announced_bytes, read_body
from edgefn.gateway.errors import Forbidden, MalformedRequest, RequestTimeout
from edgefn.gateway.headers import CONTENT_LENGTH
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.state import Gateway

MAX_ADMIN_BODY_BYTES: Final = 4 * 1024 * 1024
_ASK_TIMEOUT_S: Final = 10.0
_LONG_ASK_TIMEOUT_S: Final = 920.0  # a deployment may install an environment first
_FORWARDED: Final = ("Origin", "Forwarded", "X-Forwarded-For")


async def ask(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Has the box answer a request of the admin API."""
    check_local(request)
    timeout_s = _ASK_TIMEOUT_S if request.method == "GET" else _LONG_ASK_TIMEOUT_S
    return await _asked(gateway, request, timeout_s)


async def logs(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Has the box answer with log lines, which may wait for the next one."""
    check_local(request)
    return await _asked(gateway, request, _LONG_ASK_TIMEOUT_S)


async def metrics(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Has the box answer with the metrics of all gateways."""
    return await _asked(gateway, request, _ASK_TIMEOUT_S)


async def put_blob(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Takes a file of a bundle, or a part of one."""
    check_local(request)
    (digest,) = parameters
    chunk = chunk_of(query_of(request))
    size = await gateway.uploads.take(request, digest, chunk, gateway.config.body_timeout_s)
    return json_answer(msgspec.json.encode({"sha256": digest, "size": size}), status=201)


def check_local(request: web.BaseRequest) -> None:
    """Refuses requests that no program on this machine sent.

    Raises:
        Forbidden: It came from another machine, or from a web page.
    """
    if not _is_loopback(request.remote or ""):
        raise Forbidden(
            f"the admin API answers programs on this machine only, not {request.remote}"
        )
    for header in _FORWARDED:
        if header in request.headers:
            raise Forbidden(f"the admin API takes no request with {header}: no browser, no proxy")
    name = _host_name(request.headers.get("Host", ""))
    if name != "localhost" and not _is_address(name):
        raise Forbidden(
            f"the admin API is reached as localhost or by address, not as {name[:100]!r}"
        )


async def _asked(gateway: Gateway, request: web.BaseRequest, timeout_s: float) -> Answer:
    body = b""
    if CONTENT_LENGTH in request.headers or request.can_read_body:
        length = announced_bytes(request, MAX_ADMIN_BODY_BYTES)
        late = RequestTimeout("the body did not come in time")
        body = await read_body(request, length, gateway.config.body_timeout_s, late)
    query = query_of(request)
    gateway.report()
    method = "GET" if request.method == "HEAD" else request.method
    answered = await gateway.box.ask(method, request.path, query, body, timeout_s)
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


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
