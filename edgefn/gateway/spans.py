"""The spans of calls: one for each sampled call and gateway that it passes (OpenTelemetry).

With what `edgefn route explain` would say of the call as it is decided, what was done then, and
what came of it.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from edgefn import __version__
from edgefn.gateway.call import PendingCall
from edgefn.gateway.decision_log import legs_of
from edgefn.routing.decisions import Send
from edgefn.routing.explanation import Candidate, Explanation
from edgefn_runtime.wire import Reply

MAX_CANDIDATES: Final = 32  # the best ones; a span of the SDK keeps 128 events
FLUSH_S: Final = 0.5

_NOWHERE: Final = Context()


class Tracing:
    """Begins the spans of calls.

    Args:
        provider: Samples and exports them.
        box: Name of this box,
        tier: its tier,
        site: and where it stands.
    """

    def __init__(self, provider: TracerProvider, *, box: str, tier: str, site: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("edgefn.gateway", __version__)
        self._here = {"edgefn.box": box, "edgefn.tier": tier, "edgefn.site": site}

    def begin(
        self, function: str, read_s: float, traceparent: str, tracestate: str = ""
    ) -> tuple["CallSpan | None", str]:
        """Returns the span of a call, if it is sampled, and the traceparent that it carries on.

        Args:
            function: That is called.
            read_s: When the call had come, monotonic.
            traceparent: That it brought, well-formed (W3C), or empty.
            tracestate: That it brought, or empty.
        """
        parent = _context_of(traceparent, tracestate) if traceparent else _NOWHERE
        # By the wall clock of now: a box may have had none yet when it started.
        since_epoch_ns = time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(
            f"call {function}",
            parent,
            SpanKind.SERVER,
            {"edgefn.function": function},
            start_time=since_epoch_ns + int(read_s * 1e9),
        )
        told = span.get_span_context()
        own = f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
        if not (told.trace_flags.sampled and span.is_recording()):
            return None, traceparent or own  # so that the next box does not sample it anew
        return CallSpan(span, since_epoch_ns, self._here), own

    async def aclose(self) -> None:
        """Exports what is left, and gives up after `FLUSH_S`."""
        loop, flushed = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # it took too long, and the loop is closed
                loop.call_soon_threadsafe(flushed.set)

        # The SDK waits for half a minute; the end of the process, for threads of an executor.
        threading.Thread(target=flush, name="last-spans", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(flushed.wait(), FLUSH_S)


class CallSpan:
    """What is told of one call. Instants are monotonic.

    Args:
        span: Of it.
        since_epoch_ns: What the clock of the wall has more than the monotonic one.
        here: Attributes of all calls of this gateway.
    """

    __slots__ = ("_attributes", "_since_epoch_ns", "_span", "_weighed_s")

    def __init__(self, span: Span, since_epoch_ns: int, here: Mapping[str, Any]) -> None:
        self._span = span
        self._since_epoch_ns = since_epoch_ns
        self._weighed_s = 0.0
        self._attributes = dict(here)  # set at once, in the end: the SDK takes a lock each time

    def weighed(self, now_s: float, explanation: Explanation) -> None:
        """The call is decided on: between these."""
        self._weighed_s = now_s
        at_ns, candidates = self._ns(now_s), explanation.candidates
        self._attributes["edgefn.decision"] = explanation.decision
        self._attributes["edgefn.objective"] = explanation.objective
        self._attributes["edgefn.candidates"] = len(candidates)
        for one in candidates[:MAX_CANDIDATES]:
            self._span.add_event("candidate", _told_of(one), at_ns)

    def waits(self, now_s: float, variant: str) -> None:
        """The call waits for a replica of a variant to start here."""
        self._span.add_event("waits", {"edgefn.variant": variant}, self._ns(now_s))

    def sent(self, now_s: float, send: Send) -> None:
        """The call is on its way: once more, or after it waited; at once says its candidate."""
        if send.sent_s != self._weighed_s:
            self._span.add_event("sent", _attributes(legs_of(send)), self._ns(now_s))

    def replied(self, reply: Reply) -> None:
        """This reply is its answer."""
        self._attributes["edgefn.measured_queue_ms"] = reply.queue_us / 1000
        self._attributes["edgefn.measured_service_ms"] = reply.service_us / 1000
        self._attributes["edgefn.batch"] = reply.batch

    def end(self, call: PendingCall, now_s: float, status: int, sla: str, code: str) -> None:
        """The call is over; see `DecisionLog.note`."""
        missed = sla == "missed"
        told: dict[str, Any] = {
            "request_id": call.request_id,
            "priority": call.priority,
            "hops": call.hops,
            "status": status,
            "sla": sla,
            "code": code,
            "cause": call.miss if missed else "",
        }
        if call.deadline_s is not None:
            told["budget_ms"] = round((call.deadline_s - call.read_s) * 1000, 3)
        if call.send is not None:
            told.update(legs_of(call.send))
        span = self._span
        span.set_attributes(self._attributes | _attributes(told.items()))
        if status >= 500 or missed:
            span.set_status(StatusCode.ERROR, code or "answered after its deadline")
        span.end(self._ns(now_s))

    def _ns(self, at_s: float) -> int:
        return self._since_epoch_ns + int(at_s * 1e9)


def _context_of(traceparent: str, tracestate: str) -> Context:
    parent = SpanContext(
        int(traceparent[3:35], 16),
        int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:], 16)),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(parent), _NOWHERE)


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
