"""A call over HTTP, whichever protocol it came in: read, sent, awaited, answered."""

import asyncio
import time
from collections.abc import Callable, Mapping
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
from edgefn.gateway.headers import (
    IDEMPOTENCY_KEY,
    REQUEST_ID,
    budget_s,
    choice_of,
    priority_of,
    traceparent_of,
)
from edgefn.gateway.outcome import error_lines, result_head
from edgefn.gateway.request_id import choose_request_id
from edgefn.gateway.state import Gateway
from edgefn.routing.choice import Choice
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.wire import CallHead, Outcome, Reply, pack_confidence

_CALLER_LEFT: Final = 499  # counted, though no one is there to be answered
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
    connection = cast(Connection, request.protocol)
    call: PendingCall | None = None
    held_bytes = 0
    try:
        length = announced_bytes(request, gateway.max_body_bytes)
        encoding = encoding_of(request.headers, function.route.schema)
        call = _read_head(gateway, request.headers, connection, function.route.spec, encoding)
        if request.content.is_eof():
            held_bytes = gateway.body_memory.hold(length)
            call.body = request.content.read_nowait()
        else:
            call.size_bytes = length
            gateway.dispatcher.check(call)
            held_bytes = gateway.body_memory.hold(length)
            call.body = await _read_body(gateway, request, call, length)
        reply = await _reply(gateway, call)
        return _answer(gateway, function, call, reply, connection.request_id)
    except EdgefnError as error:
        connection.answered_by = error_lines(
            gateway, function, call, error.body(), time.monotonic()
        )
        raise
    except asyncio.CancelledError:
        function.count(_CALLER_LEFT)
        raise
    finally:
        if held_bytes:
            gateway.body_memory.free(held_bytes)


def _read_head(
    gateway: Gateway,
    headers: Mapping[str, str],
    connection: Connection,
    spec: FunctionSpec,
    encoding: Encoding,
) -> PendingCall:
    request_id = connection.request_id = choose_request_id(headers.get(REQUEST_ID))
    traceparent = traceparent_of(headers)
    read_s, timeout_s = connection.read_s, spec.timeout_s
    deadline_s, give_up_s = instants(read_s, budget_s(headers, spec.deadline_s), timeout_s)
    choice = choice_of(headers)
    return PendingCall(
        function=spec.name,
        read_s=read_s,
        deadline_s=deadline_s,
        give_up_s=give_up_s,
        timeout_s=timeout_s,
        content=encoding.content,
        accept=encoding.accept,
        choice=choice,
        aux=encoding.aux,
        head=_HEAD.encode(CallHead(request_id, encoding.media_type, traceparent)),
        answered=gateway.loop.create_future(),
        priority=priority_of(headers, spec.priority),
        idempotent=spec.idempotent or IDEMPOTENCY_KEY in headers,
        escalate_at=0 if spec.escalate_below is None else _escalate_at(spec.escalate_below, choice),
        request_id=request_id,
        traceparent=traceparent,
    )


def _escalate_at(escalate_below: float, choice: Choice | None) -> int:
    if choice is not None and choice.variant:
        return 0  # no other variant may answer
    return pack_confidence(escalate_below)


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
    dispatcher.alarms.watch(call)
    try:
        return await call.answered
    except asyncio.CancelledError:
        dispatcher.abandon(call)
        raise
    finally:
        dispatcher.alarms.unwatch(call)


def _answer(
    gateway: Gateway, function: Function, call: PendingCall, reply: Reply, request_id: str
) -> Answer:
    if reply.outcome == Outcome.ERROR:
        assert call.send is not None
        function.count_variant(call.send.variant)
        error = ReplicaError(_ERROR_BODY.decode(reply.body))
        call.miss = "queue" if reply.batch == 0 else "compute"
        if error.body().code == "deadline_unattainable":
            call.miss = "refused"
        raise error
    head = result_head(gateway, function, call, reply, time.monotonic())
    head = f"{head}X-Request-Id: {request_id}\r\n"
    return Answer(200, head.encode("ascii", "replace"), reply.body)
