"""What a box says that it has counted."""

from collections.abc import Callable
from typing import Any

import msgspec

from edgefn.box.counts import box_counts
from edgefn.box.functions import Function
from edgefn.box.totals import Totals
from edgefn.client.counts import BoxCounts, PlaceStatus, SentCount
from edgefn.gateway.control import LATENCY_EDGES_S, PlaceReport, Report, new_report
from edgefn.gateway.control import SentCount as Reported


def test_a_client_can_read_what_a_box_has_counted(
    make_revision: Callable[..., Any], make_replica: Callable[..., Any]
) -> None:
    """Sums of all gateways, and the present of those that live."""
    revision = make_revision("f")
    totals = Totals()
    totals.expect("f")
    for gateway in (0, 1):
        report = new_report("f")
        report.outcomes, report.misses = {200: 3, 504: 1}, {"queue": 1}
        report.ongoing, report.replicas = 2, {"r1": 2}
        report.latency_buckets[2] = 3
        report.sent = (Reported("a", "hub", "retry", 2),)
        report.forwarded_in = 1
        places = (PlaceReport("hub", "cloud", gateway == 0, 0.05, 2),)
        totals.add(Report(gateway, (report,), connections=5, places=places))
    hub = PlaceStatus(name="hub", tier="cloud", up=True, rtt_ms=50.0, calls=2)
    assert msgspec.convert(totals.places(), list[PlaceStatus]) == [hub]
    totals.forget_gateway(1)
    replicas = [make_replica(revision, "ready"), make_replica(revision)]
    told = box_counts(
        box="b", tier="edge", functions=[Function(serving=revision)], replicas=replicas,
        totals=totals, gateways=[0],
    )  # fmt: skip
    counts = msgspec.json.decode(msgspec.json.encode(told), type=BoxCounts)
    (function,) = counts.functions
    assert (counts.box, counts.connections, counts.latency_edges_s) == ("b", 5, LATENCY_EDGES_S)
    assert function.outcomes == {200: 6, 504: 2}
    assert function.misses == {"queue": 2}
    assert function.latency_buckets[2] == 6
    assert function.sent == (SentCount(variant="a", place="hub", purpose="retry", count=4),)
    assert (function.ongoing, function.forwarded_in) == (2, 2)
    assert counts.places == (hub,)
    assert list(function.replicas.values()) == [{"ready": 1, "starting": 1}]
