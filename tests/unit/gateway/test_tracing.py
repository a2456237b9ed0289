"""Whether calls are traced, by the environment and by what is installed."""

import logging
import sys

import pytest

from edgefn.gateway.control import GatewayConfig
from edgefn.gateway.tracing import start_tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def make_config(gateway=0):
    return GatewayConfig(
        gateway=gateway, box="b", tier="edge", listen_fd=-1, control_fd=-1, store=""
    )


@pytest.fixture
def warnings_of(monkeypatch, caplog):
    """What is warned of by a gateway that must not import anything of OpenTelemetry."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in ("call_span", "spans", "span_export"):
        monkeypatch.delitem(sys.modules, f"edgefn.gateway.{name}", raising=False)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.setitem(sys.modules, name, None)
    caplog.set_level(logging.WARNING)

    def warnings_of(environ, gateway=0):
        caplog.clear()
        assert start_tracing(environ, make_config(gateway)) is None
        return caplog.messages

    return warnings_of


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "mine"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "True"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_imported_unless_a_collector_is_named(warnings_of, environ):
    """Nor is anything said."""
    assert warnings_of(environ) == []


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_a_box_without_the_extra_says_what_to_install(warnings_of, name):
    """Once, by its first gateway."""
    (said,) = warnings_of({name: "http://127.0.0.1:1"})
    assert "pip install 'edgefn[trace]'" in said
    assert warnings_of({name: "http://127.0.0.1:1"}, gateway=1) == []


def test_another_protocol_is_refused_by_name(warnings_of):
    """That of traces counts before that of all signals, as in the standard."""
    (said,) = warnings_of({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in said and "http/protobuf" in said
    (said,) = warnings_of(
        {
            **ENDPOINT,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        }
    )
    assert "edgefn[trace]" in said


def test_a_value_that_cannot_be_is_told(monkeypatch, caplog):
    """And the box starts."""
    for name, value in {**ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE": "-3"}.items():
        monkeypatch.setenv(name, value)
    assert start_tracing(ENDPOINT, make_config()) is None
    assert "max_queue_size" in caplog.messages[-1]
