"""A call over HTTP, whichever protocol it came in: read, sent, awaited, answered."""

import asyncio
import time
from typing import Final, cast

import msgspec
from aiohttp import web

from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.answer import Answer
from edgefn.gateway.asked import Asked, EncodingOf, read_asked
from edgefn.gateway.body import read_body
from edgefn.gateway.call import PendingCall, instants
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import ReplicaError, RequestTimeout
from edgefn.gateway.function import Function
from edgefn.gateway.outcome import error_lines, result_head
from edgefn.gateway.request_id import make_request_id
from edgefn.gateway.state import Gateway
from edgefn_runtime.wire import CallHead, Outcome, Reply

_CALLER_LEFT: Final = 499  # counted, though no one is there to be answered
_ERROR_BODY: Final = msgspec.msgpack.Decoder(ErrorBody)
_HEAD: Final = msgspec.msgpack.Encoder()


async def answer_call(
    gateway: Gateway, request: web.BaseRequest, function: Function, encoding_of: EncodingOf
) -> Answer:
    """Calls a function with the body of a request, and returns the answer to it.

    Raises:
        EdgefnError: There is no result.
    """
    connection = cast(Connection, request.protocol)
    dispatcher = gateway.dispatcher
    call: PendingCall | None = None
    held_bytes = 0
    try:
        asked = connection.asked
        if asked is None or not asked.answers(request, function.route, encoding_of):
            limit = gateway.max_body_bytes
            asked = connection.asked = read_asked(request, function.route, encoding_of, limit)
        call = _call_of(gateway, connection, asked)
        if request.content.is_eof():
            held_bytes = gateway.body_memory.hold(asked.size_bytes)
            call.body = request.content.read_nowait()
        else:
            dispatcher.check(call)
            held_bytes = gateway.body_memory.hold(asked.size_bytes)
            call.body = await _read_body(gateway, request, call, asked.size_bytes)
        dispatcher.submit(call)
        dispatcher.alarms.watch(call)
        try:
            reply = await call.answered
        except asyncio.CancelledError:
            dispatcher.abandon(call)
            raise
        finally:
            dispatcher.alarms.unwatch(call)
        if reply.outcome == Outcome.ERROR:
            raise _failure(function, call, reply)
        if reply.marks:
            gateway.marking.note(call.function, asked.source, reply.marks)
        return Answer(200, result_head(gateway, function, call, reply), reply.body)
    except EdgefnError as error:
        connection.answered_by = error_lines(gateway, function, call, error.body())
        raise
    except asyncio.CancelledError:
        function.count(_CALLER_LEFT)
        raise
    finally:
        if held_bytes:
            gateway.body_memory.free(held_bytes)


def _call_of(gateway: Gateway, connection: Connection, asked: Asked) -> PendingCall:
    request_id = connection.request_id = asked.request_id or make_request_id()
    spec, encoding = asked.route.spec, asked.encoding
    read_s, timeout_s = connection.read_s, spec.timeout_s
    deadline_s, give_up_s = instants(read_s, asked.budget_s, timeout_s)
    return PendingCall(  # by position: so many keywords would cost a microsecond
        spec.name,
        read_s,
        deadline_s,
        give_up_s,
        timeout_s,
        encoding.content,
        encoding.accept,
        encoding.aux,
        _HEAD.encode(CallHead(request_id, encoding.media_type, asked.traceparent)),
        gateway.loop.create_future(),
        asked.choice,
        asked.priority,
        asked.idempotent,
        asked.escalate_at,
        request_id,
        asked.traceparent,
        0,
        b"",
        asked.size_bytes,
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


def _failure(function: Function, call: PendingCall, reply: Reply) -> EdgefnError:
    """Counts what a replica answered instead of a result, and returns it."""
    assert call.send is not None
    function.count_variant(call.send.variant)
    body = _ERROR_BODY.decode(reply.body)
    if body.code == "deadline_unattainable":
        call.miss = "refused"
    else:
        call.miss = "queue" if reply.batch == 0 else "compute"
    return ReplicaError(body)
