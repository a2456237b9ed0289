"""The spans of calls: one for each sampled call and gateway that it passes (OpenTelemetry).

With what `edgefn route explain` would say of the call as it is decided, what was done then, and
what came of it.
"""

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from edgefn import __version__
from edgefn.gateway.call_span import CallSpan

FLUSH_S: Final = 0.5
MAX_ENDED: Final = 2048  # as many as the SDK keeps; then the oldest are lost
PAUSE_S: Final = 0.1  # many at once, so that not each disturbs the call after it

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
        self._ended: deque[CallSpan] = deque(maxlen=MAX_ENDED)
        self._some, self._closing = threading.Event(), threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, name="spans", daemon=True)

    def start(self) -> None:
        """Has what is told of calls written in a thread, until `aclose`."""
        self._writer.start()

    def begin(
        self, function: str, read_s: float, traceparent: str, tracestate: str = ""
    ) -> tuple[CallSpan | None, str]:
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
        return CallSpan(span, since_epoch_ns, self._over), own

    def write_ended(self) -> None:
        """Writes what was told of calls that are over; for one thread at a time."""
        while self._ended:
            self._ended.popleft().write(self._here)

    async def aclose(self) -> None:
        """Exports what is left, and gives up after `FLUSH_S`."""
        loop, flushed = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._closing.set()
            self._some.set()
            self._writer.join()
            self.write_ended()
            self._provider.shutdown()
            with suppress(RuntimeError):  # it took too long, and the loop is closed
                loop.call_soon_threadsafe(flushed.set)

        # The SDK waits for half a minute; the end of the process, for threads of an executor.
        threading.Thread(target=flush, name="last-spans", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(flushed.wait(), FLUSH_S)

    def _over(self, span: CallSpan) -> None:
        self._ended.append(span)
        if not self._some.is_set():
            self._some.set()

    def _keep_writing(self) -> None:
        while not self._closing.is_set():
            self._some.wait()
            self._closing.wait(PAUSE_S)
            self._some.clear()
            self.write_ended()


def _context_of(traceparent: str, tracestate: str) -> Context:
    parent = SpanContext(
        int(traceparent[3:35], 16),
        int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:], 16)),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(parent), _NOWHERE)
