"""What boxes reported, and who is lost, in a time of the tests' own."""

import pytest

from edgefn.box.hub.reports import NotItself, Reports
from edgefn.desired.report import LOST_S, BoxReport
from edgefn.desired.state import Upstream


def a_report(box, **fields):
    return BoxReport(
        **{"box": box, "tier": "edge", "site": "s", "version": "1", "boot_id": "b", **fields}
    )


@pytest.fixture
def reports():
    return Reports()


def test_the_newest_report_of_each_box_counts(reports):
    """An earlier one is forgotten."""
    reports.take(a_report("a", revision=1), "a", 0.0)
    reports.take(a_report("b"), "b", 1.0)
    reports.take(a_report("a", revision=2), "a", 2.0)
    assert {name: one.report.revision for name, one in reports.heard().items()} == {"a": 2, "b": 0}


def test_a_box_that_is_silent_is_lost_until_it_is_heard_again(reports):
    """What it said last is kept."""
    reports.take(a_report("a"), "a", 0.0)
    assert [one.box for one in reports.live(LOST_S)] == ["a"]
    assert reports.live(LOST_S + 0.1) == []
    assert reports.heard()["a"].is_lost(LOST_S + 0.1)
    reports.take(a_report("a"), "a", 100.0)
    assert reports.live(100.0)


def test_what_boxes_need_is_known_when_all_said_it_or_are_lost(reports):
    """A hub that starts again has heard of nobody."""
    reports.take(a_report("a"), "a", 1.0)
    assert not reports.are_complete(("a", "b"), 0.0, 2.0)
    assert reports.are_complete(("a", "b"), 0.0, LOST_S + 0.1)
    reports.take(a_report("b"), "b", 2.0)
    assert reports.are_complete(("a", "b"), 0.0, 2.0)


def test_a_box_speaks_for_itself_only(reports):
    """Whatever it says: its certificate has its name."""
    with pytest.raises(NotItself, match="'a' reports for 'b'"):
        reports.take(a_report("b"), "a", 0.0)
    assert not reports.heard()


def test_upstreams_are_those_that_listen(reports):
    """By name, so that the order of reports is no change."""
    reports.take(a_report("c", address="c:1", tier="cloud"), "c", 0.0)
    reports.take(a_report("b"), "b", 0.0)
    reports.take(a_report("a", address="a:1"), "a", 0.0)
    assert reports.upstreams((), ("a", "b", "c")) == (
        Upstream(box="a", tier="edge", address="a:1"),
        Upstream(box="c", tier="cloud", address="c:1"),
    )


def test_upstreams_from_before_a_restart_stay_until_their_boxes_say_otherwise(reports):
    """Links do not end because the hub begins."""
    before = tuple(Upstream(box=name, tier="cloud", address=f"{name}:1") for name in "abc")
    assert reports.upstreams(before, "abc") == before
    reports.take(a_report("a", address="a:2", tier="cloud"), "a", 0.0)
    reports.take(a_report("b"), "b", 0.0)
    assert [one.address for one in reports.upstreams(before, "abc")] == ["a:2", "c:1"]


def test_a_box_without_a_certificate_that_counts_is_nobodys_upstream(reports):
    """And what it reported is forgotten."""
    reports.take(a_report("a", address="a:1"), "a", 0.0)
    assert reports.upstreams((Upstream(box="b", tier="cloud", address="b:1"),), ()) == ()
    reports.keep(())
    assert not reports.heard()
