"""How many replicas a Ray cluster should hold, by what boxes report."""

from edgefn.desired.placement import pools
from edgefn.desired.report import BoxReport, FunctionReport, VariantReport


def box(name, *functions, tier="edge", site="s", has_ray=True):
    return BoxReport(
        box=name, tier=tier, site=site, version="1", boot_id="b", has_ray=has_ray,
        functions=functions,
    )  # fmt: skip


def function(state="serving", wanted=1, digest="d", refused=""):
    variant = VariantReport(name="v", wanted=wanted, refused=refused)
    return FunctionReport(name="f", digest=digest, state=state, variants=(variant,))


def test_boxes_of_one_tier_and_site_share_what_they_want():
    """Those of another site do not, and those without Ray have nothing to do with it."""
    found = pools(
        [
            box("a", function(wanted=2)),
            box("b", function(wanted=1)),
            box("c", function(wanted=5), site="t"),
            box("d", function(wanted=7), has_ray=False),
        ]
    )
    assert [(one.site, one.count) for one in found] == [("s", 3), ("t", 5)]


def test_an_update_that_is_on_its_way_or_failed_takes_no_replica_away():
    """What served before serves on, and its leases with it."""
    for state in ("pending", "failed"):
        assert [one.count for one in pools([box("a", function(state, wanted=2))])] == [2]


def test_what_a_box_does_not_serve_asks_for_nothing():
    """It is for others, died too often, never came, or lacks an engine."""
    unserved = [
        function("elsewhere"), function("quarantined"), function("pending", digest=""),
        function(refused="no engine"),
    ]  # fmt: skip
    assert [pools([box("a", one)]) for one in unserved] == [()] * 4
