"""The calls that a peer sends here: answered by this box, sent on once more, or refused."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from edgefn.errors import EdgefnError, ErrorBody, NotDeployed, ProtocolError, QueueFull
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.call import PendingCall, instants
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.headers import fit_traceparent
from edgefn.gateway.peer_wire import MAX_FORWARDS, PeerHead, decode_head
from edgefn.gateway.statuses import status_of
from edgefn.routing.choice import Choice
from edgefn_runtime.frames import encode_reply
from edgefn_runtime.wire import NO_BUDGET, Call, CallHead, Content, Outcome, Reply

MAX_CALLS: Final = 1024  # of one connection, at a time
_BODY: Final = msgspec.msgpack.Decoder(ErrorBody)
_HEAD: Final = msgspec.msgpack.Decoder(CallHead)


class PeerCalls:
    """The calls of one connection from a peer that are not answered yet.

    Args:
        dispatcher: Brings them to replicas.
        memory: Bounds what their bodies hold.
        write: Sends a frame to the peer.
        here: Name of this box,
        peer: and of the peer.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        memory: BodyMemory,
        write: Callable[[bytes], None],
        *,
        here: str,
        peer: str,
    ) -> None:
        self._here, self._peer = here, peer
        self._dispatcher = dispatcher
        self._memory = memory
        self._write = write
        self._calls: dict[int, tuple[PendingCall, asyncio.Future[Reply]]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def take(self, frame: Call) -> None:
        """Has a call answered.

        Raises:
            ProtocolError: It is not a call of a peer; the connection cannot be trusted any more.
        """
        head = decode_head(frame)
        if not head.via or head.via[-1] != self._peer:
            raise ProtocolError(f"a call by way of {head.via!r}, which does not end with its name")
        if frame.id in self._calls:
            raise ProtocolError(f"call {frame.id} is under way already")
        now_s = time.monotonic()
        try:
            held_bytes = self._admit(frame, head)
        except EdgefnError as error:
            self._refuse(frame.id, now_s, error.body())
            return
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        call = self._pending(frame, head, now_s, answered)
        self._dispatcher.functions[head.function].count_forwarded_in()
        self._calls[frame.id] = (call, answered)
        answered.add_done_callback(partial(self._answered, frame.id, call, held_bytes))
        try:
            self._dispatcher.submit(call)
        except EdgefnError as error:
            call.fail(error)
        else:
            self._dispatcher.alarms.watch(call)

    def cancel(self, call_id: int) -> None:
        """Forgets a call that the peer waits for no more."""
        call, answered = self._calls.get(call_id, (None, None))
        if call is not None and answered is not None and not answered.done():
            self._dispatcher.abandon(call)
            answered.cancel()

    def close(self) -> None:
        """Forgets all calls: the peer is gone."""
        for call_id in tuple(self._calls):
            self.cancel(call_id)

    def _admit(self, frame: Call, head: PeerHead) -> int:
        if len(self._calls) >= MAX_CALLS:
            raise QueueFull(f"the peer has {MAX_CALLS} calls under way here already")
        function = self._dispatcher.functions.get(head.function)
        if function is None or function.route.digest != head.digest:
            raise NotDeployed(f"this box does not serve that bundle of {head.function!r}")
        if len(head.via) > MAX_FORWARDS:
            most = f"{MAX_FORWARDS} times is the most"
            raise NotDeployed(f"the call was forwarded by {', '.join(head.via)}; {most}")
        if self._here in head.via:
            raise NotDeployed(f"the call was forwarded by {', '.join(head.via)}: it was here")
        return self._memory.hold(len(frame.body))

    def _pending(
        self, frame: Call, head: PeerHead, now_s: float, answered: asyncio.Future[Reply]
    ) -> PendingCall:
        timeout_s = self._dispatcher.functions[head.function].route.spec.timeout_s
        budget_s = None if frame.budget_us == NO_BUDGET else frame.budget_us * 1e-6
        deadline_s, give_up_s = instants(now_s, budget_s, timeout_s)
        span, traceparent, call_head = None, fit_traceparent(head.traceparent), head.head
        if self._dispatcher.tracing is not None:
            span, traceparent = self._dispatcher.tracing.begin(head.function, now_s, traceparent)
        if span is not None:
            call_head = _carrying(traceparent, call_head)
        return PendingCall(
            function=head.function,
            read_s=now_s,
            deadline_s=deadline_s,
            give_up_s=give_up_s,
            timeout_s=timeout_s,
            content=frame.content,
            accept=frame.accept,
            aux=frame.aux,
            head=call_head,
            answered=answered,
            choice=Choice(variant=head.variant, not_at=head.via),
            body=frame.body,
            size_bytes=len(frame.body),
            span=span,
            request_id=head.request_id,
            traceparent=traceparent,
            priority=head.priority,
            via=head.via,
            hops=len(head.via),
            idempotent=head.idempotent,
        )

    def _answered(
        self, call_id: int, call: PendingCall, held_bytes: int, answered: asyncio.Future[Reply]
    ) -> None:
        self._calls.pop(call_id, None)
        self._dispatcher.alarms.unwatch(call)
        self._memory.free(held_bytes)
        if answered.cancelled():
            self._dispatcher.decisions.left(call, time.monotonic())
            return
        error = answered.exception()
        if isinstance(error, EdgefnError):
            body = error.body()
            self._note(call, body.code)
            self._refuse(call_id, call.read_s, body)
        elif error is None:
            reply = answered.result()
            failed = reply.outcome == Outcome.ERROR
            self._note(call, _BODY.decode(reply.body).code if failed else "")
            self._reply(call_id, call.read_s, reply)

    def _note(self, call: PendingCall, code: str) -> None:
        now_s = time.monotonic()
        if call.deadline_s is None:
            sla = ""
        else:
            sla = "met" if not code and now_s <= call.deadline_s else "missed"
        status = status_of(code) if code else 200
        self._dispatcher.decisions.note(call, now_s, status, sla, code)

    def _reply(self, call_id: int, read_s: float, reply: Reply) -> None:
        # All that was not the run counts as queue: what the peer measures beyond is the network.
        resident_us = int((time.monotonic() - read_s) * 1e6)
        queue_us = max(0, resident_us - reply.service_us)
        self._write(encode_reply(msgspec.structs.replace(reply, id=call_id, queue_us=queue_us)))

    def _refuse(self, call_id: int, read_s: float, error: ErrorBody) -> None:
        queue_us = int((time.monotonic() - read_s) * 1e6)
        body = msgspec.msgpack.encode(error)
        refusal = Reply(
            call_id, Outcome.ERROR, Content.MSGPACK, 0, queue_us, 0, 0, 0, len(self._calls), body
        )
        self._write(encode_reply(refusal))


def _carrying(traceparent: str, head: bytes) -> bytes:
    """Returns what a replica is told of a call, as part of another span."""
    try:
        told = _HEAD.decode(head) if head else CallHead()
    except msgspec.MsgspecError:
        return head  # the replica's to refuse
    return msgspec.msgpack.encode(msgspec.structs.replace(told, traceparent=traceparent))
