"""One call on its way: from the reading of its head to its answer."""

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edgefn.errors import DeadlineExceeded, EdgefnError, TimedOut
from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.routing.table import USUAL_PRIORITY
from edgefn_runtime.frames import call_frame
from edgefn_runtime.wire import NO_BUDGET, Reply

if TYPE_CHECKING:
    from edgefn.gateway.call_span import CallSpan
    from edgefn.gateway.flight import Flight

# A call is answered at the latest this long after its deadline; later than that, a result is worth
# no more than the news that there is none.
GRACE_S: Final = 0.010
_GIVE_UP_S: Final = GRACE_S / 2  # the rest is for the loop to come round and write the answer

# A call without a deadline may queue, or wait for a replica to start, for so long beyond the time
# that its function may run.
NO_DEADLINE_WAIT_S: Final = 30.0


class Answered(Protocol):
    """Who is told what a call is answered: a future, or someone who must know in the same turn.

    It is told once. What it does then may send another call.
    """

    def done(self) -> bool:
        """Whether it was told, or does not want to know any more."""

    def set_result(self, reply: Reply, /) -> None:
        """This is the reply."""

    def set_exception(self, error: EdgefnError, /) -> None:
        """There is none, because of this."""


class PendingCall(msgspec.Struct, eq=False):
    """A call that is not answered yet.

    Attributes:
        function: Name of the function.
        read_s: When its head had come.
        deadline_s: When it must be answered, or None.
        give_up_s: When the gateway stops waiting.
        timeout_s: How long the function may run.
        content: How the body is encoded (`wire.Content`).
        accept: How the answer is to be encoded (`wire.Content`).
        aux: See `wire.Call`.
        head: Msgpack of a `wire.CallHead`, or empty.
        answered: Told the reply, or the error that is answered instead.
        choice: What it asks of the variant, or None.
        priority: From 0 to 9.
        idempotent: Whether it may run twice, as its caller or its function says.
        escalate_at: A reply of less confidence (`wire.Reply`) is doubtful; 0: none is.
        request_id: For logs.
        traceparent: Of its span, or else of its caller's trace (W3C), or empty.
        hops: How often it was forwarded before it came here.
        body: The caller's bytes.
        size_bytes: Of its body, which may still have to be read.
        span: What is told of it to those who trace calls; None: it is not sampled, or it is over.
        flights: Under way; one but for hedges and escalations.
        send: Of the flight that was sent last, or whose reply is the answer; None: it never was
            sent.
        fallback: A reply and where it is from, for when none of `flights` brings a better one.
        lost: Whether a flight of it was lost, and it waited for a replacement already.
        waited_s: Time that it waited for a replica to start.
        alarm_s: When to look after it the next time: at the latest, to give it up.
        tick: Of that alarm, as `alarms` counts; 0: it is not watched.
        miss: If it is not answered in time, because of what: `network`, `queue`, `cold`, `compute`,
            `refused`.
        via: The boxes that forwarded it, the first one first.
    """

    function: str
    read_s: float
    deadline_s: float | None
    give_up_s: float
    timeout_s: float
    content: int
    accept: int
    aux: int
    head: bytes
    answered: Answered
    choice: Choice | None = None
    priority: int = USUAL_PRIORITY
    idempotent: bool = False
    escalate_at: int = 0
    request_id: str = ""
    traceparent: str = ""
    hops: int = 0
    body: bytes = b""
    size_bytes: int = 0
    span: "CallSpan | None" = None
    flights: list["Flight"] = []
    send: Send | None = None
    fallback: tuple[Send, Reply] | None = None
    lost: bool = False
    waited_s: float = 0.0
    miss: str = "refused"
    alarm_s: float = 0.0
    tick: int = 0
    via: tuple[str, ...] = ()

    def frame(self, call_id: int, now_s: float, way_back_s: float) -> bytes:
        """Returns the frame that sends it to a replica, with the budget that is left.

        Args:
            call_id: On the connection.
            now_s: Monotonic; the budget counts from then.
            way_back_s: What its answer needs from there, which is no time to run in.

        Raises:
            ProtocolError: It does not fit a frame.
        """
        return call_frame(
            call_id,
            self.content,
            self.accept,
            self.aux,
            self.budget_us(now_s + way_back_s),
            self.head,
            self.body,
            int(now_s * 1e6),
        )

    def budget_us(self, at_s: float) -> int:
        """Returns what is left of its budget at an instant, as frames carry it."""
        if self.deadline_s is None:
            return NO_BUDGET
        left_us = int((self.deadline_s - at_s) * 1e6)
        return left_us if left_us > 0 else 0

    def fail(self, error: EdgefnError) -> None:
        """Answers it with an error, unless it is answered already."""
        if not self.answered.done():
            self.answered.set_exception(error)

    def late(self) -> EdgefnError:
        """Returns the error for a call whose time is up."""
        if self.deadline_s is None:
            return TimedOut(
                f"{self.function!r} did not answer within {self.give_up_s - self.read_s:.0f} s, "
                f"{self.timeout_s:g} s of which it may run"
            )
        if self.send is None:
            where = "waited for a replica to start" if self.waited_s else "was still being read"
        else:
            at = self.send.place
            where = f"was at box {at}" if at else "was at a replica"
        budget_ms = (self.deadline_s - self.read_s) * 1000
        return DeadlineExceeded(
            f"{self.function!r} did not answer within the deadline of {budget_ms:g} ms; the call "
            f"{where} when it passed"
        )


def instants(read_s: float, budget_s: float | None, timeout_s: float) -> tuple[float | None, float]:
    """Returns the deadline of a call and when to give it up.

    Args:
        read_s: When its head had been read.
        budget_s: How long its caller waits, or None.
        timeout_s: How long its function may run.
    """
    if budget_s is None:
        return None, read_s + timeout_s + NO_DEADLINE_WAIT_S
    return read_s + budget_s, read_s + budget_s + _GIVE_UP_S
