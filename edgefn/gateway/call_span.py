"""The span of one call: what is noted while it is under way, and what is written of it after."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from opentelemetry.trace import Span, StatusCode

from edgefn.gateway.call import PendingCall
from edgefn.gateway.decision_log import legs_of
from edgefn.routing.decisions import Send
from edgefn.routing.explanation import Candidate, Explanation
from edgefn_runtime.wire import Reply

MAX_CANDIDATES: Final = 32  # the best ones; a span of the SDK keeps 128 events


class CallSpan:
    """What is told of one call. Instants are monotonic.

    What is told is only noted while the call is under way, and written to the SDK's span after it.

    Args:
        span: Of it.
        since_epoch_ns: What the clock of the wall has more than the monotonic one.
        over: Told when it has ended.
    """

    __slots__ = ("_ended", "_noted", "_over", "_reply", "_sent", "_since_epoch_ns", "_span")

    def __init__(self, span: Span, since_epoch_ns: int, over: Callable[["CallSpan"], None]) -> None:
        self._span = span
        self._since_epoch_ns = since_epoch_ns
        self._over = over
        self._noted: list[tuple[float, Explanation | Send | str]] = []
        self._sent = False
        self._reply: Reply | None = None
        self._ended: _Ended | None = None

    def weighed(self, now_s: float, explanation: Explanation) -> None:
        """The call is decided on: between these."""
        self._noted.append((now_s, explanation))

    def waits(self, now_s: float, variant: str) -> None:
        """The call waits for a replica of a variant to start here."""
        self._sent = True
        self._noted.append((now_s, variant))

    def sent(self, now_s: float, send: Send) -> None:
        """The call is on its way: once more, or after it waited; the first time is as decided."""
        if self._sent:
            self._noted.append((now_s, send))
        self._sent = True

    def replied(self, reply: Reply) -> None:
        """This reply is its answer."""
        self._reply = reply

    def end(self, call: PendingCall, now_s: float, status: int, sla: str, code: str) -> None:
        """The call is over; see `DecisionLog.note`."""
        missed = sla == "missed"
        self._ended = _Ended(
            now_s=now_s,
            send=call.send,
            told=(
                ("request_id", call.request_id),
                ("priority", call.priority),
                ("hops", call.hops),
                ("budget_ms", _budget_ms(call)),
                ("status", status),
                ("sla", sla),
                ("code", code),
                ("cause", call.miss if missed else ""),
            ),
            error=(code or "answered after its deadline") if status >= 500 or missed else "",
        )
        self._over(self)

    def write(self, here: Mapping[str, Any]) -> None:
        """Writes what was told to the SDK, which exports it.

        Args:
            here: Attributes of all spans of this gateway.
        """
        span, ended, reply = self._span, self._ended, self._reply
        assert ended is not None
        attributes = {**here, **_attributes(ended.told)}
        if ended.send is not None:
            attributes.update(_attributes(legs_of(ended.send)))
        if reply is not None:
            attributes["edgefn.measured_queue_ms"] = reply.queue_us / 1000
            attributes["edgefn.measured_service_ms"] = reply.service_us / 1000
            attributes["edgefn.batch"] = reply.batch
        for at_s, noted in self._noted:
            at_ns = self._ns(at_s)
            if isinstance(noted, Send):
                span.add_event("sent", _attributes(legs_of(noted)), at_ns)
            elif isinstance(noted, str):
                span.add_event("waits", {"edgefn.variant": noted}, at_ns)
            else:
                attributes.update(self._write_candidates(noted, at_ns))
        span.set_attributes(attributes)
        if ended.error:
            span.set_status(StatusCode.ERROR, ended.error)
        span.end(self._ns(ended.now_s))

    def _write_candidates(self, explanation: Explanation, at_ns: int) -> dict[str, Any]:
        for one in explanation.candidates[:MAX_CANDIDATES]:
            self._span.add_event("candidate", _told_of(one), at_ns)
        return {
            "edgefn.decision": explanation.decision,
            "edgefn.objective": explanation.objective,
            "edgefn.candidates": len(explanation.candidates),
        }

    def _ns(self, at_s: float) -> int:
        return self._since_epoch_ns + int(at_s * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How a call ended."""

    now_s: float
    send: Send | None
    told: tuple[tuple[str, Any], ...]
    error: str  # empty if it is none


def _budget_ms(call: PendingCall) -> float | None:
    return None if call.deadline_s is None else round((call.deadline_s - call.read_s) * 1000, 3)


def _told_of(candidate: Candidate) -> Mapping[str, Any]:
    fields = ((name, getattr(candidate, name)) for name in candidate.__struct_fields__)
    return _attributes((*fields, ("chosen", not candidate.lost_because)))


def _attributes(told: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Returns attributes of a span: what says nothing is left out, and what is no number."""
    found = {}
    for name, value in told:
        if name == "place":
            value = value or "here"
        if value is None or value == "" or (type(value) is float and not isfinite(value)):
            continue
        found[f"edgefn.{name}"] = value
    return found
