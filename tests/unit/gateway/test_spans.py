"""What the span of a call tells: when it begins, as it is decided, as it is sent, as it ends."""

import asyncio
import logging
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from edgefn.errors import DeadlineUnattainable, EdgefnError, ReplicaLost
from edgefn.gateway.call import PendingCall
from edgefn.gateway.call_span import MAX_CANDIDATES
from edgefn.gateway.control import FunctionRoute, ReplicaRoute, Routes, VariantRoute
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.span_export import Complaints, HeardExporter
from edgefn.gateway.spans import FLUSH_S, Tracing
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.events import LoadReported
from edgefn.routing.explanation import Candidate, Explanation
from edgefn.routing.table import DeployedEndpoint, Place
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given
from edgefn_runtime.wire import Outcome, Reply

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))
REPLY = Reply(1, Outcome.RESULT, 1, 0, 100, 2000, 0, 1, 0, b"1")


class Carrier:
    """Notes what it carries."""

    def __init__(self):
        self.flights = []

    def send(self, flight, now_s):
        self.flights.append(flight)

    def forget(self, flight):
        self.flights.remove(flight)


def make_tracing(sampler=DEFAULT_ON):
    """Returns what begins spans, and where they are when they have ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider, box="edge-1", tier="edge", site="near"), exporter


class Traced:
    """A dispatcher whose calls are traced."""

    def __init__(self):
        self.tracing, self.exporter = make_tracing()
        self.dispatcher = Dispatcher(lambda message: None, Place(name="", tier="edge", site="near"))
        route = FunctionRoute(
            name="f",
            revision=1,
            spec=FunctionSpec(name="f"),
            schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
            variants=(VariantRoute(variant=as_given({})),),
            default="python",
            replicas=(ReplicaRoute("r1", "python", "/nowhere"),),
            digest="d1",
        )
        self.dispatcher.update(Routes(1, (route,)))

    def connect(self, *, peer=False):
        """Lets calls go to a replica here, and to a peer; returns what carries them."""
        carriers = Carrier(), Carrier()
        self.dispatcher.connected("r1", carriers[0])
        if peer:
            endpoint = DeployedEndpoint(name="cloud1/f/python", place="cloud1")
            at_peer = PeerEndpoint(function="f", digest="d1", variant="python", endpoint=endpoint)
            self.dispatcher.set_place(Place(name="cloud1", tier="cloud", site="far"), (at_peer,))
            self.dispatcher.connected("cloud1/f/python", carriers[1])
            self.dispatcher.observe(LoadReported("cloud1/f/python", 0.0, 1))
        return carriers

    def call(self, budget_s=10.0, **changes):
        now_s = time.monotonic()
        span, traceparent = self.tracing.begin("f", now_s, SAMPLED)
        return PendingCall(
            function="f",
            read_s=now_s,
            deadline_s=now_s + budget_s,
            give_up_s=now_s + budget_s,
            timeout_s=1.0,
            content=1,
            accept=1,
            aux=0,
            head=b"",
            answered=asyncio.get_running_loop().create_future(),
            span=span,
            traceparent=traceparent,
            **changes,
        )

    def over(self, call, status=200, sla="met", code=""):
        """Ends a call; returns its span."""
        self.dispatcher.decisions.note(call, call.read_s + 0.25, status, sla, code)
        return self.spans()[-1]

    def spans(self):
        """Returns all spans, each when it is written."""
        self.tracing.write_ended()
        return self.exporter.get_finished_spans()


@pytest.fixture
async def traced():
    made = Traced()
    yield made
    await made.dispatcher.aclose()


def events(span, name):
    return [one.attributes for one in span.events if one.name == name]


async def test_a_span_is_the_child_of_its_callers(traced):
    """From when the call was read until it was answered, on the clock of the wall."""
    before_ns = time.time_ns()
    call = traced.call()
    span = traced.over(call)
    assert (span.name, span.kind) == ("call f", SpanKind.SERVER)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert call.traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert abs(span.start_time - before_ns) < 10e9
    assert span.end_time - span.start_time == pytest.approx(0.25e9, abs=1000)
    assert call.span is None  # what is over is told nothing any more


@pytest.mark.parametrize(
    ("sampler", "brought", "carried"),
    [
        (DEFAULT_ON, UNSAMPLED, UNSAMPLED),
        (ALWAYS_OFF, SAMPLED, SAMPLED),
        (ParentBased(ALWAYS_OFF), "", "00-"),
    ],
    ids=["its caller says so", "nothing is", "it has no caller"],
)
def test_what_is_not_sampled_has_no_span(sampler, brought, carried):
    """It carries on what it brought, or that it is not to be sampled anywhere."""
    tracing, exporter = make_tracing(sampler)
    span, traceparent = tracing.begin("f", time.monotonic(), brought)
    assert span is None and traceparent.startswith(carried)
    assert traceparent == brought or not int(traceparent[-2:], 16) & 1
    assert not exporter.get_finished_spans()


def test_what_tracing_systems_added_stays_with_the_trace():
    """`tracestate`, unless it is malformed."""
    tracing, _ = make_tracing()
    for told, kept in (("a=1,b=2", {"a": "1", "b": "2"}), ("\x00", {})):
        span, _ = tracing.begin("f", time.monotonic(), SAMPLED, told)
        assert dict(span._span.get_span_context().trace_state) == kept


async def test_a_span_tells_the_decision_as_it_was_taken(traced):
    """Each candidate with its legs and why it lost, then where the call went and what came."""
    traced.connect(peer=True)
    call = traced.call()
    traced.dispatcher.submit(call)
    traced.dispatcher.flights.replied(call.flights[0], REPLY)
    span = traced.over(call)
    chosen, other = events(span, "candidate")
    assert (chosen["edgefn.endpoint"], chosen["edgefn.place"]) == ("r1", "here")
    assert chosen["edgefn.chosen"] and "edgefn.lost_because" not in chosen
    assert (other["edgefn.place"], other["edgefn.chosen"]) == ("cloud1", False)
    assert other["edgefn.lost_because"] == "a lower score"
    assert other["edgefn.score"] < chosen["edgefn.score"]
    told = span.attributes
    assert told["edgefn.decision"] == "sent to python here" and told["edgefn.candidates"] == 2
    for leg in ("predicted", "network", "cold", "wait", "service", "bound"):
        assert told[f"edgefn.{leg}_ms"] == chosen[f"edgefn.{leg}_ms"]
    assert (told["edgefn.measured_queue_ms"], told["edgefn.measured_service_ms"]) == (0.1, 2.0)
    assert (told["edgefn.box"], told["edgefn.tier"], told["edgefn.site"]) == (
        "edge-1", "edge", "near",
    )  # fmt: skip
    assert told["edgefn.budget_ms"] == pytest.approx(10_000) and told["edgefn.sla"] == "met"
    assert span.status.status_code == StatusCode.UNSET


async def test_each_further_sending_of_a_call_is_an_event(traced):
    """A retry after its replica died, for example; the first one is the chosen candidate."""
    here, _ = traced.connect(peer=True)
    call = traced.call(idempotent=True)
    traced.dispatcher.submit(call)
    traced.dispatcher._endpoints.disconnect(("r1",))
    traced.dispatcher.flights.lost(here.flights[-1], ReplicaLost("died"), unsent=False)
    traced.dispatcher.flights.replied(call.flights[0], REPLY)
    span = traced.over(call)
    sent = [(one["edgefn.purpose"], one["edgefn.place"]) for one in events(span, "sent")]
    assert sent == [("retry", "cloud1")]
    assert span.attributes["edgefn.purpose"] == "retry"


async def test_a_call_that_waits_for_a_replica_says_so(traced):
    """And that it was sent when there was one."""
    call = traced.call()
    traced.dispatcher.submit(call)
    traced.connect()
    traced.dispatcher.flights.replied(call.flights[0], REPLY)
    span = traced.over(call)
    assert [one.name for one in span.events] == ["candidate", "waits", "sent"]
    assert span.attributes["edgefn.decision"].startswith("waits for a replica of python")


@pytest.mark.parametrize(
    ("status", "sla", "code", "said"),
    [
        (504, "missed", "deadline_unattainable", "deadline_unattainable"),
        (502, "", "function_error", "function_error"),
        (200, "missed", "", "answered after its deadline"),
        (429, "missed", "queue_full", "queue_full"),
        (422, "", "invalid_input", None),
    ],
)
async def test_what_failed_or_was_late_is_an_error(traced, status, sla, code, said):
    """With its code, and the cause of a miss; what its caller did wrong is none."""
    span = traced.over(traced.call(), status, sla, code)
    expected = StatusCode.UNSET if said is None else StatusCode.ERROR
    assert (span.status.status_code, span.status.description) == (expected, said)
    assert span.attributes["edgefn.status"] == status
    assert span.attributes.get("edgefn.cause") == ("refused" if sla else None)
    assert span.attributes.get("edgefn.code", "") == code


async def test_a_refused_call_says_between_what_it_was_refused(traced):
    """Before its body is read as well; it was sent nowhere."""
    traced.connect()
    for refuse in (traced.dispatcher.submit, traced.dispatcher.check):
        call = traced.call(budget_s=-1.0)
        with pytest.raises(EdgefnError) as caught:
            refuse(call)
        span = traced.over(call, 504, "missed", caught.value.code)
        assert caught.value.code == DeadlineUnattainable.code
        assert span.attributes["edgefn.decision"].startswith("refused: ")
        assert len(events(span, "candidate")) == 1 and not events(span, "sent")


async def test_a_caller_who_leaves_ends_the_span(traced):
    """Once; that is no fault."""
    call = traced.call()
    for _ in range(2):
        traced.dispatcher.decisions.left(call, time.monotonic())
    (span,) = traced.spans()
    assert span.attributes["edgefn.code"] == "caller_left"
    assert span.status.status_code == StatusCode.UNSET


async def test_the_best_candidates_are_told_of_many(traced):
    """With how many there were; what is no number is left out."""
    many = tuple(
        Candidate(endpoint=f"r{i}", variant="v", place="", tier="edge", network_ms=float("inf"))
        for i in range(200)
    )
    call = traced.call()
    call.span.weighed(
        time.monotonic(),
        Explanation(
            function="f", objective="latency", budget_ms=None, decision="", candidates=many
        ),
    )
    span = traced.over(call)
    told = events(span, "candidate")
    assert [one["edgefn.endpoint"] for one in told] == [f"r{i}" for i in range(MAX_CANDIDATES)]
    assert span.attributes["edgefn.candidates"] == 200
    assert "edgefn.network_ms" not in told[0]


async def test_the_last_spans_are_not_waited_for_forever():
    """A collector that hangs costs the end of a box no more than `FLUSH_S`."""
    loop, hung = asyncio.get_running_loop(), asyncio.Event()

    class Hanging(TracerProvider):
        def shutdown(self):
            asyncio.run_coroutine_threadsafe(hung.wait(), loop).result()

    tracing = Tracing(Hanging(shutdown_on_exit=False), box="b", tier="t", site="s")
    tracing.start()
    await asyncio.wait_for(tracing.aclose(), FLUSH_S + 10)
    hung.set()


async def test_the_last_spans_are_written_before_the_end(traced):
    """By the thread that writes them meanwhile, or after it."""
    traced.tracing.start()
    for _ in range(100):
        call = traced.call()
        traced.dispatcher.decisions.note(call, time.monotonic(), 200, "met")
    await traced.tracing.aclose()
    assert len(traced.exporter.get_finished_spans()) == 100


def test_a_collector_that_is_away_is_complained_of_once(caplog):
    """And once that it is back; then it may be away again."""

    class Away(SpanExporter):
        result = SpanExportResult.FAILURE

        def export(self, spans):
            return self.result

    exporter, complaints = Away(), Complaints()
    heard = HeardExporter(exporter, complaints)
    record = logging.LogRecord("library", logging.WARNING, "", 0, "refused by %s", ("it",), None)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        for _ in range(3):
            exporter.result = SpanExportResult.FAILURE
            complaints.handle(record)
            heard.export(())
        exporter.result = SpanExportResult.SUCCESS
        heard.export(())
        heard.export(())
    levels = [one.levelname for one in caplog.records]
    assert levels == ["WARNING", "INFO"] * 2
    assert "refused by it" in caplog.messages[0]
