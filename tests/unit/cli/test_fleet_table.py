"""What is said of a fleet: which function serves where, and what is not as it should be."""

import io

import pytest
from rich.console import Console

from edgefn.cli.fleet_table import fleet_tables, fleet_troubles, placed
from edgefn.desired.fleet import FleetBox, FleetFunction, FleetStatus
from edgefn.desired.report import BoxReport, FunctionReport, LinkReport, VariantReport

NOW, OLD = "a" * 64, "b" * 64
SINCE = "2026-01-01T00:00:00.000+00:00"


def function(state="serving", digest=NOW, name="voice", reason="", **fields):
    return FunctionReport(name=name, digest=digest, state=state, reason=reason, **fields)


def a_box(name, *functions, state="up", is_hub=False, **fields):
    report = BoxReport(
        box=name, site="s", version="1.2", boot_id="b", functions=functions,
        **{"tier": "edge", "epoch": "e", "revision": 7, **fields},
    )  # fmt: skip
    return FleetBox(box=name, state=state, since=SINCE, is_hub=is_hub, report=report)


def a_fleet(*boxes):
    voice = FleetFunction(name="voice", revision=3, digest=NOW, tiers=("edge",))
    return FleetStatus(hub="hub", epoch="e", revision=7, functions=(voice,), boxes=boxes)


def shown(fleet):
    text = io.StringIO()
    console = Console(file=text, width=200)
    for table in fleet_tables(fleet):
        console.print(table)
    return text.getvalue()


@pytest.mark.parametrize(
    ("said", "state", "serves"),
    [
        (function(), "serving", "revision 3"),
        (function(digest=OLD), "pending", OLD[:12]),
        (function("pending", digest=""), "pending", ""),
        (function("failed", digest=OLD, reason="no"), "failed", OLD[:12]),
        (function("quarantined"), "quarantined", "revision 3"),
        (function("elsewhere"), "elsewhere", ""),
        (None, "pending", ""),
    ],
)
def test_what_serves_at_a_box(said, state, serves):
    """As it says, but what does not serve what it should is on its way."""
    (at,) = placed(a_fleet(a_box("a", *([said] if said else []))))
    assert (at.state, at.serves, at.revision) == (state, serves, 3)


def test_a_lost_box_is_lost_whatever_it_said():
    """And it is named, with since when."""
    silent = FleetBox(box="quiet", state="lost", since=SINCE)
    fleet = a_fleet(a_box("hub", function(), is_hub=True), a_box("a", function(), state="lost"))
    fleet = FleetStatus(**{**_fields(fleet), "boxes": (*fleet.boxes, silent)})
    assert [one.state for one in placed(fleet)] == ["serving", "lost", "lost"]
    heard, never = fleet_troubles(fleet)
    assert "box a is lost" in heard and SINCE in heard
    assert "box quiet is lost: it was not heard of since the hub started" in never


def _fields(fleet):
    return {name: getattr(fleet, name) for name in fleet.__struct_fields__}


def test_what_a_box_had_before_it_joined_is_its_own():
    """The hub neither wants nor removes it."""
    fleet = a_fleet(a_box("a", function(), function(name="old")), a_box("b", function()))
    assert [(one.function, one.box, one.revision) for one in placed(fleet)] == [
        ("old", "a", 0), ("voice", "a", 3), ("voice", "b", 3),
    ]  # fmt: skip
    assert "its own" in shown(fleet)


def test_reasons_are_told_in_sentences():
    """Of what failed; what is elsewhere is as it should be."""
    fleet = a_fleet(
        a_box("a", function("failed", digest=OLD, reason="it did not load")),
        a_box("b", function("elsewhere", reason="it is for cloud")),
    )
    assert list(fleet_troubles(fleet)) == ["voice at a is failed: it did not load"]


def test_the_tables_have_links_leases_and_how_far_a_box_is():
    """One line a box, and one for each function on it."""
    links = (
        LinkReport(box="hub", tier="cloud", up=True, rtt_s=0.0123),
        LinkReport(box="c2", tier="cloud", up=False),
    )
    voice = function(variants=(VariantReport(name="fp32", replicas=3, leases=2),), calls=41)
    told = shown(
        a_fleet(
            a_box("hub", is_hub=True, tier="cloud"),
            a_box("a", voice, links=links, revision=5, has_ray=True),
        )
    )
    hub, edge = (line.split() for line in told.splitlines() if " s " in line)
    assert "hub," in " ".join(hub) and "revision 7" in " ".join(hub)
    assert "revision 5 of 7 yes hub 12.3 ms, c2 is down" in " ".join(edge)
    (row,) = (line.split() for line in told.splitlines() if " 41 " in line)
    assert row == ["voice", "3", "a", "serving", "revision", "3", "3", "2", "41", "0"]
