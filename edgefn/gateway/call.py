"""One call on its way: from the reading of its head to its answer."""

import asyncio
from typing import Final

from edgefn.errors import DeadlineExceeded, EdgefnError, TimedOut
from edgefn.gateway.control import ReplicaRoute
from edgefn_runtime.wire import NO_BUDGET, Call, Reply, encode_call

# A call is answered at the latest this long after its deadline; later than that, a result is worth
# no more than the news that there is none.
GRACE_S: Final = 0.010
_GIVE_UP_S: Final = GRACE_S / 2  # the rest is for the loop to come round and write the answer

# A call without a deadline may queue, or wait for a replica to start, for so long beyond the time
# that its function may run.
NO_DEADLINE_WAIT_S: Final = 30.0


class PendingCall:
    """A call that is not answered yet.

    Attributes:
        function: Name of the function.
        read_s: When its head had been read.
        deadline_s: When it must be answered, or None.
        give_up_s: When the gateway stops waiting.
        timeout_s: How long the function may run.
        content: How the body is encoded (`wire.Content`).
        accept: How the answer is to be encoded (`wire.Content`).
        aux: See `wire.Call`.
        head: Msgpack of a `wire.CallHead`, or empty.
        body: The caller's bytes.
        answered: Becomes the reply, or the error that is answered instead.
        replica: What it was last sent to, or None.
        id: Its id on the connection to that replica.
        sent_s: When it was sent there.
        waited_s: Time that it waited for a replica to start.
        miss: If it is not answered in time, because of what: `queue`, `cold`, `compute`, `refused`.
    """

    __slots__ = (
        "accept",
        "answered",
        "aux",
        "body",
        "content",
        "deadline_s",
        "function",
        "give_up_s",
        "head",
        "id",
        "miss",
        "read_s",
        "replica",
        "sent_s",
        "timeout_s",
        "waited_s",
    )

    def __init__(
        self,
        function: str,
        *,
        read_s: float,
        budget_s: float | None,
        timeout_s: float,
        content: int,
        accept: int,
        aux: int,
        head: bytes,
        answered: asyncio.Future[Reply],
    ) -> None:
        self.function = function
        self.read_s = read_s
        self.timeout_s = timeout_s
        self.deadline_s: float | None
        if budget_s is None:
            self.deadline_s = None
            self.give_up_s = read_s + timeout_s + NO_DEADLINE_WAIT_S
        else:
            self.deadline_s = read_s + budget_s
            self.give_up_s = self.deadline_s + _GIVE_UP_S
        self.content = content
        self.accept = accept
        self.aux = aux
        self.head = head
        self.body = b""
        self.answered = answered
        self.replica: ReplicaRoute | None = None
        self.id = 0
        self.sent_s = 0.0
        self.waited_s = 0.0
        self.miss = "refused"

    def frame(self, now_s: float) -> bytes:
        """Returns the frame that sends it, with the budget that is left."""
        if self.deadline_s is None:
            budget_us = NO_BUDGET
        else:
            budget_us = max(0, int((self.deadline_s - now_s) * 1e6))
        return encode_call(
            Call(self.id, self.content, self.accept, self.aux, budget_us, self.head, self.body)
        )

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
        if not self.sent_s:
            where = "waited for a replica to start" if self.waited_s else "was still being read"
        else:
            where = "was at a replica"
        budget_ms = (self.deadline_s - self.read_s) * 1000
        return DeadlineExceeded(
            f"{self.function!r} did not answer within the deadline of {budget_ms:g} ms; the call "
            f"{where} when it passed"
        )
