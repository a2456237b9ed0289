"""Traced calls through real boxes, to a collector that the test plays."""

import http.server
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edgefn.bundle.build import build

PARENT = "b7ad6b7169203331"
CODE = """
from edgefn import edge_function

@edge_function(tiers=("edge", "cloud"), deadline_ms=20_000)
def near(x: int) -> int:
    return 2 * x

@edge_function(tiers=("cloud",), deadline_ms=20_000)
def far(x: int) -> int:
    return 2 * x
"""


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans by OTLP over HTTP; they are at `spans` of its server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in request.resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [(about, span) for span in scope.spans]
        self.server.paths.add(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """A test says what it wants to say by itself."""


@contextmanager
def collecting() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.spans, server.paths = [], set()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def traced_to(port, **more):
    """Boxes that are started meanwhile export to a port of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("NO_PROXY", "127.0.0.1")
        for name, value in more.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def boxes(start_shared_box, tmp_path_factory):
    """An edge box that dials a cloud box; both trace what their callers trace."""
    folder = tmp_path_factory.mktemp("traced")
    source = folder / "source"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    with collecting() as server:
        with traced_to(server.server_port, OTEL_TRACES_SAMPLER="parentbased_always_off"):
            cloud = start_shared_box(
                state_dir=folder / "c", name="cloud-1", tier="cloud", peer_port=0
            )
            address = cloud.admin.status().peer_address
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("OTEL_SERVICE_NAME", "at-the-edge")
                edge = start_shared_box(
                    state_dir=folder / "e", name="edge-1", peer_port=0, peers=[address]
                )
        bundles = build(str(source))
        for bundle in bundles:
            for box in (cloud, edge):
                box.admin.deploy(bundle)
        yield SimpleNamespace(edge=edge, bundles=bundles, collector=server)


@pytest.fixture
def call(boxes, eventually):
    """Calls a function at the edge as part of a trace; returns the status and the spans of it."""

    def call(function, spans, **headers):
        trace = secrets.token_hex(16)
        answer = boxes.edge.http.request(
            "POST",
            f"{boxes.edge.url}/v1/functions/{function}",
            json={"x": 1},
            headers={"traceparent": f"00-{trace}-{PARENT}-01", **headers},
        )

        def found():
            of_trace = [one for one in boxes.collector.spans if one[1].trace_id.hex() == trace]
            return of_trace if len(of_trace) == spans else None

        return answer.status, [Told(*one) for one in eventually(found)]

    return call


class Told:
    """A span as it came, and the service that it is from."""

    def __init__(self, about, span):
        self.about, self.span = about, span
        self.of = attributes(span.attributes)
        self.id, self.parent = span.span_id.hex(), span.parent_span_id.hex()

    def events(self, name):
        return [attributes(one.attributes) for one in self.span.events if one.name == name]


def attributes(told):
    return {
        one.key.removeprefix("edgefn."): getattr(one.value, one.value.WhichOneof("value"))
        for one in told
    }


def test_a_sampled_call_is_a_span_of_its_callers_trace(boxes, call):
    """With what was predicted of each candidate, and of the one that answered."""
    status, (told,) = call("near", 1, **{"Edgefn-Priority": "7"})
    assert status == 200 and boxes.collector.paths == {"/v1/traces"}
    assert (told.parent, told.span.name) == (PARENT, "call near")
    assert 0 < told.span.end_time_unix_nano - told.span.start_time_unix_nano < 20e9
    expected = {"function": "near", "box": "edge-1", "status": 200, "sla": "met", "priority": 7}
    assert expected.items() <= told.of.items()
    assert told.of["measured_service_ms"] > 0 and told.of["predicted_ms"] > 0
    (chosen,) = (one for one in told.events("candidate") if one["chosen"])
    assert chosen["predicted_ms"] == told.of["predicted_ms"]
    assert (chosen["variant"], chosen["place"]) == ("python", "here")


def test_a_forwarded_call_is_a_span_of_each_box(boxes, call, eventually):
    """The second one is the child of the first, whichever of them arrives first."""
    eventually(lambda: boxes.edge.call("far", x=1).status == 200)
    status, spans = call("far", 2)
    first, second = sorted(spans, key=lambda one: one.of["hops"])
    assert status == 200 and (first.parent, second.parent) == (PARENT, first.id)
    assert (first.of["box"], first.of["place"]) == ("edge-1", "cloud-1")
    assert (second.of["box"], second.of["place"], second.of["hops"]) == ("cloud-1", "here", 1)
    assert first.of["request_id"] == second.of["request_id"]
    services = (first.about["service.name"], second.about["service.name"])
    assert services == ("at-the-edge", "edgefn")


def test_a_refused_call_says_why(call):
    """It was sent nowhere."""
    status, (told,) = call("near", 1, **{"Edgefn-Deadline-Ms": "0.001"})
    assert (status, told.of["status"], told.of["code"]) == (504, 504, "deadline_unattainable")
    assert (told.of["sla"], told.of["cause"]) == ("missed", "refused")
    assert told.of["decision"].startswith("refused: ") and told.events("candidate")
    assert told.span.status.message == "deadline_unattainable" and not told.events("sent")


def test_a_call_that_is_not_sampled_has_no_span(boxes, call):
    """Whether its caller says so or is silent: a later one, that is sampled, arrives alone."""
    before = len(boxes.collector.spans)
    unsampled = {"traceparent": f"00-{secrets.token_hex(16)}-{PARENT}-00"}
    for headers in (unsampled, {}):
        answer = boxes.edge.http.request(
            "POST", f"{boxes.edge.url}/v1/functions/near", json={"x": 1}, headers=headers
        )
        assert answer.status == 200
    call("near", 1)
    assert len(boxes.collector.spans) == before + 1


def test_a_collector_that_is_away_or_says_nothing_disturbs_nothing(boxes, start_box, eventually):
    """One line says so; calls are answered, and the box ends while it is being waited for."""
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))  # it refuses connections
        with traced_to(collector.getsockname()[1]):
            box = start_box()
        box.admin.deploy(boxes.bundles[0])
        complaint = "spans do not reach their collector"
        for _ in range(3):
            assert box.call("near", x=1).status == 200
        eventually(lambda: complaint in box.errors)
        collector.listen()  # it takes them, and says nothing
        collector.settimeout(20.0)
        with collector.accept()[0]:
            assert box.call("near", x=1).status == 200
            box.http.clear()
            assert box.end() == 0
    assert box.errors.count(complaint) == 1 and "Traceback" not in box.errors
