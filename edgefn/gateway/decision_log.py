"""What became of the last calls, and what had been predicted of them; kept, not written."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from edgefn.gateway.call import PendingCall
from edgefn.routing.decisions import Send

KEPT: Final = 512
KEPT_MISSES: Final = 256


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """One call that is over.

    Attributes:
        ended_s: When, on the monotonic clock.
        function: That was called.
        request_id: Of the call.
        traceparent: Of its caller's trace, or empty.
        priority: Of the call.
        budget_s: That it had; None: no deadline.
        send: Of the flight that was answered, or was sent last; None: it was sent nowhere.
        status: HTTP status of the answer.
        code: Of its error, or empty.
        sla: `met`, `degraded`, `missed`, or empty.
        cause: Of the miss, or empty.
        elapsed_s: From its head to its end.
    """

    ended_s: float
    function: str
    request_id: str
    traceparent: str
    priority: int
    budget_s: float | None
    send: Send | None
    status: int
    code: str
    sla: str
    cause: str
    elapsed_s: float


class DecisionLog:
    """The last calls, and the last ones that were not answered in time."""

    def __init__(self) -> None:
        self._all: deque[Outcome] = deque(maxlen=KEPT)
        self._missed: deque[Outcome] = deque(maxlen=KEPT_MISSES)

    def note(self, call: PendingCall, now_s: float, status: int, sla: str, code: str = "") -> None:
        """Keeps a call that is over.

        Args:
            call: With all that was learned of it.
            now_s: Monotonic.
            status: HTTP status of its answer.
            sla: `met`, `degraded`, `missed`, or empty.
            code: Of its error, or empty.
        """
        missed = sla == "missed"
        outcome = Outcome(
            now_s,
            call.function,
            call.request_id,
            call.traceparent,
            call.priority,
            None if call.deadline_s is None else call.deadline_s - call.read_s,
            call.send,
            status,
            code,
            sla,
            call.miss if missed else "",
            now_s - call.read_s,
        )
        self._all.append(outcome)
        if missed:
            self._missed.append(outcome)

    def told(self, function: str, limit: int, *, missed: bool) -> list[dict[str, Any]]:
        """Returns calls as the admin API spells them, the last one first.

        Args:
            function: That was called; empty: any.
            limit: Most to return.
            missed: Only those that were not answered in time.
        """
        age_s = time.monotonic() - time.time()
        kept = self._missed if missed else self._all
        found = (one for one in reversed(kept) if function in ("", one.function))
        return [_spelled(one, age_s) for one, _ in zip(found, range(limit), strict=False)]


def _spelled(one: Outcome, age_s: float) -> dict[str, Any]:
    told = {
        "at": round(one.ended_s - age_s, 3),
        "function": one.function,
        "request_id": one.request_id,
        "traceparent": one.traceparent,
        "priority": one.priority,
        "budget_ms": None if one.budget_s is None else _ms(one.budget_s),
        "elapsed_ms": _ms(one.elapsed_s),
        "status": one.status,
        "code": one.code,
        "sla": one.sla,
        "cause": one.cause,
    }
    if one.send is not None:
        told["sent"] = dict(_legs(one.send))
    return told


def _legs(send: Send) -> Iterator[tuple[str, Any]]:
    for name in ("variant", "endpoint", "place", "purpose", "degraded"):
        yield name, getattr(send, name)
    yield "predicted_ms", _ms(send.predicted_s)
    for leg in ("network", "cold", "wait", "service", "sd", "bound"):
        yield f"{leg}_ms", _ms(getattr(send, f"{leg}_s"))
    yield "chance", round(send.chance, 4)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
