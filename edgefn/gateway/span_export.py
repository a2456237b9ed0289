"""Exports spans as OpenTelemetry's SDK does: in batches, in a thread of its own, over HTTP."""

import logging
import sys
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

_LOG = logging.getLogger(__name__)
_SERVICE: Final = "edgefn"
# For so long a thread that exports may keep the loop from running: the 5 ms that Python has are
# half of what a call may be late.
_SWITCH_S: Final = 0.0005


def make_provider() -> TracerProvider:
    """Returns a provider that exports as the variables of OpenTelemetry say.

    Raises:
        ValueError: One of them has a value that cannot be.
    """
    named = {SERVICE_NAME: _SERVICE, **OTELResourceDetector().detect().attributes}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    complaints = Complaints()
    provider.add_span_processor(BatchSpanProcessor(HeardExporter(OTLPSpanExporter(), complaints)))
    library = logging.getLogger("opentelemetry")
    library.addHandler(complaints)
    library.propagate = False
    sys.setswitchinterval(_SWITCH_S)
    return provider


class Complaints(logging.Handler):
    """Says the first thing that the library complains of, and no more until spans arrive again."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Takes what the library logs, in whichever thread."""
        if not self._said:
            self._said = True
            _LOG.warning(
                "spans do not reach their collector, and those that find no room meanwhile are "
                "lost; calls are not concerned. %s",
                record.getMessage(),
            )

    def arrived(self) -> None:
        """Spans reached their collector."""
        if self._said:
            self._said = False
            _LOG.info("spans reach their collector again")


class HeardExporter(SpanExporter):
    """An exporter of whose successes someone hears.

    Args:
        exporter: Does it.
        complaints: Hears of it.
    """

    def __init__(self, exporter: SpanExporter, complaints: Complaints) -> None:
        self._exporter = exporter
        self._complaints = complaints

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports spans; called in the thread of the batches."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._complaints.arrived()
        return result

    def shutdown(self) -> None:
        """Ends the connection, and what is being tried again."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Waits until what was handed over is exported: nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)
