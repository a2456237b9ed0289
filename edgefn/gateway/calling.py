"""A call over HTTP, whichever protocol it came in: read, sent, awaited, answered."""

import asyncio
import time
from typing import Final, NamedTuple, cast

import msgspec
from aiohttp import web

from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.answer import Answer
from edgefn.gateway.asked import Asked, EncodingOf, read_asked
from edgefn.gateway.body import read_body
from edgefn.gateway.call import Answered, PendingCall, instants
from edgefn.gateway.connection import Connection
from edgefn.gateway.decision_log import CALLER_LEFT
from edgefn.gateway.errors import ReplicaError, RequestTimeout
from edgefn.gateway.function import Function
from edgefn.gateway.outcome import error_lines, result_head
from edgefn.gateway.request_id import make_request_id
from edgefn.gateway.state import Gateway
from edgefn_runtime.wire import CallHead, Outcome, Reply

_ERROR_BODY: Final = msgspec.msgpack.Decoder(ErrorBody)
_HEAD: Final = msgspec.msgpack.Encoder()


class Called(NamedTuple):
    """What a path names: a function, and how the protocol of the path encodes its calls."""

    function: Function
    encoding_of: EncodingOf


class HttpCall:
    """One call over HTTP, step by step; whoever takes the steps `close`s it in the end.

    Args:
        gateway: That was called.
        request: Of the caller.
        called: By it.
    """

    __slots__ = ("_asked", "_call", "_called", "_connection", "_gateway", "_held_bytes", "_request")

    def __init__(self, gateway: Gateway, request: web.BaseRequest, called: Called) -> None:
        self._gateway = gateway
        self._request = request
        self._called = called
        self._connection = cast(Connection, request.protocol)
        self._asked: Asked | None = None
        self._call: PendingCall | None = None
        self._held_bytes = 0

    def begin(self, answered: Answered) -> PendingCall:
        """Reads the head, and makes the call of it.

        Raises:
            EdgefnError: It asks for what cannot be.
        """
        connection, request = self._connection, self._request
        (function, encoding_of), asked = self._called, connection.asked
        if asked is None or not asked.answers(request, function.route, encoding_of):
            limit = self._gateway.max_body_bytes
            asked = connection.asked = read_asked(request, function.route, encoding_of, limit)
        self._asked = asked
        call = self._call = _call_of(self._gateway, connection, asked, answered)
        return call

    def take_body(self, call: PendingCall) -> None:
        """Takes a body that is there already.

        Raises:
            Unavailable: Too many bodies are.
        """
        self._held_bytes = self._gateway.body_memory.hold(call.size_bytes)
        call.body = self._request.content.read_nowait()

    async def read_body(self, call: PendingCall) -> None:
        """Reads the body, unless the call would be refused whatever is in it.

        Raises:
            EdgefnError: It would be, or the body does not come.
        """
        gateway, size_bytes = self._gateway, call.size_bytes
        gateway.dispatcher.check(call)
        self._held_bytes = gateway.body_memory.hold(size_bytes)
        call.body = await _read_body(gateway, self._request, call, size_bytes)

    def submit(self, call: PendingCall) -> None:
        """Sends it, or lets it wait for a replica.

        Raises:
            EdgefnError: It was refused.
        """
        dispatcher = self._gateway.dispatcher
        dispatcher.submit(call)
        dispatcher.alarms.watch(call)

    def answer(self, reply: Reply) -> Answer:
        """Returns the answer that a reply is.

        Raises:
            ReplicaError: It is no result.
        """
        call, asked, function = self._call, self._asked, self._called.function
        assert call is not None and asked is not None
        if reply.outcome == Outcome.ERROR:
            raise _failure(function, call, reply)
        if reply.marks:
            self._gateway.marking.note(call.function, asked.source, reply.marks)
        return Answer(200, result_head(self._gateway, function, call, reply), reply.body)

    def failed(self, error: EdgefnError) -> None:
        """There is no result: counts that, and notes on the connection what the answer says."""
        lines = error_lines(self._gateway, self._called.function, self._call, error.body())
        self._connection.answered_by = lines

    def left(self) -> None:
        """The caller is gone."""
        if self._call is not None:
            self._gateway.dispatcher.abandon(self._call)
            self._gateway.decisions.left(self._call, time.monotonic())
        self._called.function.count(CALLER_LEFT)

    def close(self) -> None:
        """Gives back what it holds."""
        call, self._call = self._call, None
        if call is not None:
            if call.tick:
                self._gateway.dispatcher.alarms.unwatch(call)
            if call.span is not None:  # nothing was noted: a fault of ours
                call.span.end(call, time.monotonic(), 500, "", "internal")
        if self._held_bytes:
            self._gateway.body_memory.free(self._held_bytes)
            self._held_bytes = 0


async def answer_call(gateway: Gateway, request: web.BaseRequest, called: Called) -> Answer:
    """Calls a function with the body of a request, and returns the answer to it.

    Raises:
        EdgefnError: There is no result.
    """
    http_call = HttpCall(gateway, request, called)
    answered: asyncio.Future[Reply] = gateway.loop.create_future()
    try:
        call = http_call.begin(answered)
        if request.content.is_eof():
            http_call.take_body(call)
        else:
            await http_call.read_body(call)
        http_call.submit(call)
        return http_call.answer(await answered)
    except EdgefnError as error:
        http_call.failed(error)
        raise
    except asyncio.CancelledError:
        http_call.left()
        raise
    finally:
        http_call.close()


def _call_of(
    gateway: Gateway, connection: Connection, asked: Asked, answered: Answered
) -> PendingCall:
    request_id = connection.request_id = asked.request_id or make_request_id()
    spec, encoding = asked.route.spec, asked.encoding
    read_s, timeout_s = connection.read_s, spec.timeout_s
    deadline_s, give_up_s = instants(read_s, asked.budget_s, timeout_s)
    span, traceparent, tracing = None, asked.traceparent, gateway.dispatcher.tracing
    if tracing is not None:
        span, traceparent = tracing.begin(spec.name, read_s, traceparent, asked.tracestate)
    return PendingCall(  # by position: so many keywords would cost a microsecond
        spec.name,
        read_s,
        deadline_s,
        give_up_s,
        timeout_s,
        encoding.content,
        encoding.accept,
        encoding.aux,
        _HEAD.encode(CallHead(request_id, encoding.media_type, traceparent)),
        answered,
        asked.choice,
        asked.priority,
        asked.idempotent,
        asked.escalate_at,
        request_id,
        traceparent,
        0,
        b"",
        asked.size_bytes,
        span,
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
