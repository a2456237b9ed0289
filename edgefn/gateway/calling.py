"""A call over HTTP, whichever protocol it came in: read, sent, awaited, counted, answered."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, cast

import msgspec
from aiohttp import web

from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.answer import Answer
from edgefn.gateway.body import announced_bytes, read_body
from edgefn.gateway.call import PendingCall, instants
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import ReplicaError, RequestTimeout
from edgefn.gateway.function import Function
from edgefn.gateway.headers import REQUEST_ID, budget_s, choice_of
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.state import Gateway
from edgefn.gateway.statuses import status_of
from edgefn_runtime.manifest import FunctionSchema
from edgefn_runtime.wire import CallHead, Content, Outcome, Reply

_CALLER_LEFT: Final = 499  # counted, though no one is there to be answered
_TOO_LATE: Final = frozenset({408, 429, 504})  # statuses of calls that had no answer in time
_ERROR_BODY: Final = msgspec.msgpack.Decoder(ErrorBody)
_HEAD: Final = msgspec.msgpack.Encoder()


class Encoding(msgspec.Struct, frozen=True, gc=False):
    """How a call's body and its answer are written (see `wire.Call`)."""

    content: int
    accept: int
    aux: int = 0
    media_type: str = ""


EncodingOf = Callable[[Mapping[str, str], FunctionSchema], Encoding]


async def answer_call(
    gateway: Gateway, request: web.BaseRequest, function: Function, encoding_of: EncodingOf
) -> Answer:
    """Calls a function with the body of a request, and returns the answer to it.

    Raises:
        EdgefnError: There is no result.
    """
    call: PendingCall | None = None
    held_bytes = 0
    try:
        length = announced_bytes(request, gateway.max_body_bytes)
        encoding = encoding_of(request.headers, function.route.schema)
        call = _read_head(gateway, request, function, encoding)
        held_bytes = gateway.body_memory.hold(length)
        if request.content.is_eof():
            call.body = request.content.read_nowait()
        else:
            call.body = await _read_body(gateway, request, call, length)
        reply = await _reply(gateway, call)
        return _answer(gateway, function, call, reply, request)
    except EdgefnError as error:
        _count_error(function, call, status_of(error.body().code))
        raise
    except asyncio.CancelledError:
        function.count(_CALLER_LEFT)
        raise
    finally:
        if held_bytes:
            gateway.body_memory.free(held_bytes)


def _read_head(
    gateway: Gateway, request: web.BaseRequest, function: Function, encoding: Encoding
) -> PendingCall:
    headers = request.headers
    spec = function.route.spec
    connection = cast(Connection, request.protocol)
    connection.request_id = choose_request_id(headers.get(REQUEST_ID))
    read_s, timeout_s = connection.read_s, spec.timeout_s
    deadline_s, give_up_s = instants(read_s, budget_s(headers, spec.deadline_s), timeout_s)
    return PendingCall(
        function=spec.name,
        read_s=read_s,
        deadline_s=deadline_s,
        give_up_s=give_up_s,
        timeout_s=timeout_s,
        content=encoding.content,
        accept=encoding.accept,
        choice=choice_of(headers),
        aux=encoding.aux,
        head=_HEAD.encode(CallHead(connection.request_id, encoding.media_type)),
        answered=gateway.loop.create_future(),
    )


async def _read_body(
    gateway: Gateway, request: web.BaseRequest, call: PendingCall, length: int
) -> bytes:
    body_timeout_s = gateway.config.body_timeout_s
    left_s = call.give_up_s - time.monotonic()
    if left_s < body_timeout_s:
        return await read_body(request, length, left_s, call.late())
    late = RequestTimeout(f"the body did not come within {body_timeout_s:g} s")
    return await read_body(request, length, body_timeout_s, late)


async def _reply(gateway: Gateway, call: PendingCall) -> Reply:
    dispatcher = gateway.dispatcher
    dispatcher.submit(call)
    gateway.give_ups.watch(call)
    try:
        return await call.answered
    except asyncio.CancelledError:
        dispatcher.abandon(call)
        raise
    finally:
        gateway.give_ups.unwatch(call)


def _answer(
    gateway: Gateway, function: Function, call: PendingCall, reply: Reply, request: web.BaseRequest
) -> Answer:
    assert call.replica is not None
    variant = call.replica.variant
    function.count_variant(variant)
    if reply.outcome == Outcome.ERROR:
        error = ReplicaError(_ERROR_BODY.decode(reply.body))
        call.miss = "queue" if reply.batch == 0 else "compute"
        if error.body().code == "deadline_unattainable":
            call.miss = "refused"
        raise error
    elapsed_s = time.monotonic() - call.read_s
    function.count_result(elapsed_s, reply)
    sla = ""
    if call.deadline_s is not None:
        if call.read_s + elapsed_s <= call.deadline_s:
            sla = "Edgefn-Sla: met\r\n"
        else:
            sla = "Edgefn-Sla: missed\r\n"
            function.count_miss(_slowest(call, reply))
    cold = f", cold;dur={call.waited_s * 1000:.3f}" if call.waited_s else ""
    head = (
        f"Edgefn-Variant: {variant}\r\n{gateway.tier_and_box}{sla}"
        f"Server-Timing: queue;dur={reply.queue_us / 1000:.3f}, "
        f"compute;dur={reply.service_us / 1000:.3f}{cold}\r\n"
        f"X-Request-Id: {cast(Connection, request.protocol).request_id}\r\n"
        f"{_content_lines(reply.content, reply.aux)}"
    )
    return Answer(200, head.encode("ascii", "replace"), reply.body)


@lru_cache(maxsize=256)
def _content_lines(content: int, aux: int) -> str:
    if content == Content.MSGPACK:
        return "Content-Type: application/msgpack\r\n"
    if content == Content.V2 and aux:
        return (
            f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {aux}\r\n"
        )
    return "Content-Type: application/json\r\n"


def _slowest(call: PendingCall, reply: Reply) -> str:
    cold_us = call.waited_s * 1e6
    if cold_us > max(reply.queue_us, reply.service_us):
        return "cold"
    return "queue" if reply.queue_us > reply.service_us else "compute"


def _count_error(function: Function, call: PendingCall | None, status: int) -> None:
    function.count(status)
    if call is not None and call.deadline_s is not None and status in _TOO_LATE:
        function.count_miss(call.miss)
