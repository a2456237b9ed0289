"""What became of the last calls, and what had been predicted of them; kept, not written."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from edgefn.gateway.call import PendingCall
from edgefn.routing.decisions import Send

KEPT: Final = 512
KEPT_MISSES: Final = 256
CALLER_LEFT: Final = 499  # a status that is counted, though no one is there to be answered

# Of one call that is over: when, its function, request id, traceparent, priority, deadline, when it
# was read, hops, the `Send` that was answered or was the last (None: it was sent nowhere), status,
# error code, `met|degraded|missed` or empty, cause of the miss. A plain tuple, since each call pays
# for it and hardly one is ever looked at.
_Record = tuple[
    float, str, str, str, int, float | None, float, int, Send | None, int, str, str, str
]


class DecisionLog:
    """The last calls, and the last ones that were not answered in time."""

    def __init__(self) -> None:
        self._all: deque[_Record] = deque(maxlen=KEPT)
        self._missed: deque[_Record] = deque(maxlen=KEPT_MISSES)

    def note(self, call: PendingCall, now_s: float, status: int, sla: str, code: str = "") -> None:
        """Keeps a call that is over, and ends its span.

        Args:
            call: With all that was learned of it.
            now_s: Monotonic.
            status: HTTP status of its answer.
            sla: `met`, `degraded`, `missed`, or empty.
            code: Of its error, or empty.
        """
        if call.span is not None:
            call.span.end(call, now_s, status, sla, code)
            call.span = None
        missed = sla == "missed"
        record = (
            now_s, call.function, call.request_id, call.traceparent, call.priority,
            call.deadline_s, call.read_s, call.hops, call.send, status, code, sla,
            call.miss if missed else "",
        )  # fmt: skip
        self._all.append(record)
        if missed:
            self._missed.append(record)

    def left(self, call: PendingCall, now_s: float) -> None:
        """Ends the span of a call whose caller is gone, or wants no answer any more."""
        if call.span is not None:
            call.span.end(call, now_s, CALLER_LEFT, "", "caller_left")
            call.span = None

    def told(self, function: str, limit: int, *, missed: bool) -> list[dict[str, Any]]:
        """Returns calls as the admin API spells them, the last one first.

        Args:
            function: That was called; empty: any.
            limit: Most to return.
            missed: Only those that were not answered in time.
        """
        age_s = time.monotonic() - time.time()
        kept = self._missed if missed else self._all
        found = (one for one in reversed(kept) if function in ("", one[1]))
        return [_spelled(one, age_s) for one, _ in zip(found, range(limit), strict=False)]


def _spelled(record: _Record, age_s: float) -> dict[str, Any]:
    (
        ended_s, function, request_id, traceparent, priority, deadline_s, read_s, hops, send,
        status, code, sla, cause,
    ) = record  # fmt: skip
    told = {
        "at": round(ended_s - age_s, 3),
        "function": function,
        "request_id": request_id,
        "traceparent": traceparent,
        "priority": priority,
        "hops": hops,
        "budget_ms": None if deadline_s is None else _ms(deadline_s - read_s),
        "elapsed_ms": _ms(ended_s - read_s),
        "status": status,
        "code": code,
        "sla": sla,
        "cause": cause,
    }
    if send is not None:
        told["sent"] = dict(legs_of(send))
    return told


def legs_of(send: Send) -> Iterator[tuple[str, Any]]:
    """Yields what was predicted of a sending, by the names under which it is told."""
    for name in ("variant", "endpoint", "place", "purpose", "degraded"):
        yield name, getattr(send, name)
    yield "predicted_ms", _ms(send.predicted_s)
    for leg in ("network", "cold", "wait", "service", "sd", "bound"):
        yield f"{leg}_ms", _ms(getattr(send, f"{leg}_s"))
    yield "chance", round(send.chance, 4)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
