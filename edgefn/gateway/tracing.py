"""Whether calls are traced: as the variables of OpenTelemetry say, where the box was started."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from edgefn.gateway.control import GatewayConfig

if TYPE_CHECKING:
    from edgefn.gateway.spans import Tracing

_LOG = logging.getLogger(__name__)
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


def start_tracing(environ: Mapping[str, str], config: GatewayConfig) -> "Tracing | None":
    """Returns what begins the spans of calls and exports them; None: calls are not traced.

    Nothing of OpenTelemetry is imported unless the environment names a collector. Where it names
    one and calls cannot be traced all the same, the first gateway of the box says so.

    Args:
        environ: Of this process.
        config: Of this gateway.
    """
    if not _wanted(environ):
        return None
    named = next((name for name in _PROTOCOLS if environ.get(name)), None)
    if named is not None and environ[named] != _PROTOCOL:
        _refuse(config, f"{named} is {environ[named]!r}; edgefn speaks {_PROTOCOL} only")
        return None
    try:
        from edgefn.gateway.span_export import make_provider
        from edgefn.gateway.spans import Tracing
    except ImportError as error:
        _refuse(config, f"{error}; pip install 'edgefn[trace]' in the environment of the box")
        return None
    try:
        provider = make_provider()
    except ValueError as error:
        _refuse(config, f"a variable OTEL_... has a value that cannot be: {error}")
        return None
    tracing = Tracing(provider, box=config.box, tier=config.tier, site=config.site)
    tracing.start()
    return tracing


def _wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environ.get(name) for name in _ENDPOINTS)


def _refuse(config: GatewayConfig, why: str) -> None:
    if config.gateway == 0:  # one line is enough, however many gateways the box has
        _LOG.warning("calls are not traced: %s", why)
