"""What gateways report, added up and rendered."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from edgefn.box.functions import Function
from edgefn.box.metrics import BoxCollector, render
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import (
    FunctionReport,
    PlaceReport,
    Report,
    SentCount,
    new_report,
)

MakeRevision = Callable[..., Revision]
MakeReplica = Callable[..., Replica]


def report(gateway: int, **values: object) -> Report:
    function = new_report("f")
    for name, value in values.items():
        setattr(function, name, value)
    return Report(gateway, (function,), connections=3)


def totals_of(*reports: Report) -> Totals:
    totals = Totals()
    totals.expect("f")
    for one in reports:
        totals.add(one)
    return totals


def test_reports_add_up() -> None:
    """Counts of all gateways and times; the present is the last that each said."""
    totals = totals_of(
        report(0, outcomes={200: 3, 504: 1}, misses={"queue": 1}, ongoing=2, replicas={"r1": 2}),
        report(0, outcomes={200: 1}, ongoing=1, replicas={"r1": 1}),
        report(1, outcomes={400: 1}, ongoing=4, waiting={"onnx": 1}, replicas={"r1": 4}),
    )
    function = totals.functions["f"]
    assert (function.calls, function.errors, function.misses.total()) == (6, 1, 1)
    assert (totals.ongoing("f"), totals.waiting("f"), totals.at_replica("f", "r1")) == (5, 1, 5)


def test_a_gateway_that_ends_takes_only_its_present_along() -> None:
    """What it did stays counted."""
    totals = totals_of(report(0, outcomes={200: 3}, ongoing=2))
    totals.forget_gateway(0)
    assert totals.functions["f"].calls == 3
    assert totals.ongoing("f") == 0
    assert totals.connections(0) == 0


def test_names_that_nobody_deployed_are_not_counted() -> None:
    """A late report of a removed function does not bring it back."""
    totals = totals_of(report(0, outcomes={200: 1}))
    totals.forget("f")
    totals.add(Report(0, (FunctionReport(name="f", outcomes={200: 1}, ongoing=1),), 0))
    assert totals.functions == {}
    assert totals.ongoing("f") == 0


def test_a_report_without_buckets_is_fine() -> None:
    """The number of buckets is the box's."""
    totals = totals_of(report(0, latency_buckets=[]), report(0, latency_buckets=[1] * 99))
    assert sum(totals.functions["f"].latency_buckets) == 15


def test_prometheus_reads_what_is_rendered(
    make_revision: MakeRevision, make_replica: MakeReplica
) -> None:
    """Every family, with its labels and values."""
    buckets = [0, 2, 1] + [0] * 11 + [1]
    totals = totals_of(
        report(
            0,
            outcomes={200: 3, 504: 1},
            variants={"onnx": 3},
            misses={"cold": 1},
            sent=(SentCount("onnx", "", "first", 3), SentCount("onnx", "cloud1", "hedge", 1)),
            refused={"queue_full": 2},
            degraded=1,
            forwarded_in=2,
            latency_buckets=buckets,
            latency_sum_s=60.5,
            cold_starts=1,
            queue_sum_s=0.5,
            service_sum_s=0.25,
            ongoing=2,
            waiting={"onnx": 1},
        )
    )
    totals.functions["f"].deaths["timeout"] += 2
    revision = make_revision()
    function = Function(serving=revision)
    function.quarantine("broken")
    text = render(
        BoxCollector(
            version="1.2.3",
            functions=[function],
            replicas=[make_replica(revision, "ready"), make_replica(revision)],
            totals=totals,
            gateways=[0],
        )
    ).decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    f = ("function", "f")
    assert samples["edgefn_build_info", ("version", "1.2.3")] == 1
    assert samples["edgefn_gateway_connections", ("gateway", "0")] == 3
    assert samples["edgefn_calls_total", f, ("status", "504")] == 1
    assert samples["edgefn_variant_calls_total", f, ("variant", "onnx")] == 3
    assert samples["edgefn_call_duration_seconds_bucket", f, ("le", "0.001")] == 2
    assert samples["edgefn_call_duration_seconds_bucket", f, ("le", "10.0")] == 3
    assert samples["edgefn_call_duration_seconds_bucket", f, ("le", "+Inf")] == 4
    assert samples["edgefn_call_duration_seconds_count", f] == 4
    assert samples["edgefn_call_duration_seconds_sum", f] == 60.5
    assert samples["edgefn_sla_miss_total", ("cause", "cold"), f] == 1
    sent = {key[2:]: value for key, value in samples.items() if key[0] == "edgefn_decisions_total"}
    assert sent == {
        (("place", "here"), ("purpose", "first"), ("variant", "onnx")): 3,
        (("place", "cloud1"), ("purpose", "hedge"), ("variant", "onnx")): 1,
    }
    assert samples["edgefn_refused_total", ("code", "queue_full"), f] == 2
    assert samples["edgefn_degraded_total", f] == 1
    assert samples["edgefn_forwarded_in_total", f] == 2
    assert samples["edgefn_queue_seconds_total", f] == 0.5
    assert samples["edgefn_service_seconds_total", f] == 0.25
    assert samples["edgefn_cold_starts_total", f] == 1
    assert samples["edgefn_ongoing_calls", f] == 2
    assert samples["edgefn_waiting_calls", f] == 1
    assert samples["edgefn_quarantined", f] == 1
    variant = revision.default.name
    replicas = {
        dict(key[1:])["state"]: value
        for key, value in samples.items()
        if key[0] == "edgefn_replicas" and ("variant", variant) in key
    }
    assert replicas["ready"] == 1
    assert replicas["starting"] == 1
    assert replicas["draining"] == 0
    assert samples["edgefn_replica_deaths_total", ("cause", "timeout"), f] == 2


def test_peers_are_told_with_their_paths() -> None:
    """One that is not linked has no round trip."""
    totals = Totals()
    places = (PlaceReport("hub", "cloud", True, 0.03, 2), PlaceReport("plant-2", "edge", False))
    totals.add(Report(0, (), 0, places=places))
    collector = BoxCollector(version="1", functions=[], replicas=[], totals=totals, gateways=[0])
    lines = render(collector).decode().splitlines()
    assert 'edgefn_peer_up{peer="hub",tier="cloud"} 1.0' in lines
    assert 'edgefn_peer_up{peer="plant-2",tier="edge"} 0.0' in lines
    assert 'edgefn_peer_ongoing_calls{peer="hub",tier="cloud"} 2.0' in lines
    rtts = [line for line in lines if line.startswith("edgefn_peer_rtt_seconds{")]
    assert rtts == ['edgefn_peer_rtt_seconds{peer="hub",tier="cloud"} 0.03']


def test_what_is_asked_of_the_next_tier_and_by_lower_ones_is_shown(
    make_revision: Callable[..., Revision],
) -> None:
    """Two gauges for each function."""
    function = Function(serving=make_revision(), reserve=2, reserved=3)
    totals = totals_of()
    totals.expect("f")
    collector = BoxCollector(
        version="1", functions=[function], replicas=[], totals=totals, gateways=[]
    )
    lines = render(collector).decode().splitlines()
    assert 'edgefn_spill_reserve_replicas{function="f"} 2.0' in lines
    assert 'edgefn_spill_reserved_replicas{function="f"} 3.0' in lines
