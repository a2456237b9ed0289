"""What a session is asked for, in words and numbers."""

import pytest

from edgefn.emulation.links import check, concerns
from edgefn.emulation.path import Conditions
from edgefn.emulation.quantities import duration_s, rate_bps, say_duration, say_rate, share
from edgefn.emulation.topology import links_between, parse_boxes
from edgefn.errors import ConfigError


def test_boxes_are_numbered_in_their_tier():
    """From 1; a tier without a number has one box."""
    boxes = parse_boxes("edge:2, cloud")
    assert [(box.name, box.tier) for box in boxes] == [
        ("edge-1", "edge"),
        ("edge-2", "edge"),
        ("cloud-1", "cloud"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no tier"),
        ("edge:two", "'edge:two' is no tier"),
        ("edge:0", "0 boxes"),
        ("edge:1,edge:2", "named twice"),
        ("edge:99", "99 boxes"),
        ("edge:8,cloud:8", "16 boxes are too many"),
        ("Edge:1", "'Edge:1' is no tier"),
    ],
)
def test_what_is_no_topology_is_said_clearly(text, said):
    """With the offending part, and how to write it."""
    with pytest.raises(ConfigError, match=said):
        parse_boxes(text)


def test_each_two_boxes_are_linked_once():
    """Within a tier by a link of its own kind; the first of the two dials."""
    across, within = Conditions(rtt_s=0.06), Conditions(rtt_s=0.012)
    links = list(links_between(parse_boxes("edge:2,cloud:1"), across, within))
    assert [(link.name, link.conditions.rtt_s) for link in links] == [
        ("edge-1:edge-2", 0.012),
        ("edge-1:cloud-1", 0.06),
        ("edge-2:cloud-1", 0.06),
    ]


def test_links_are_named_by_themselves_by_either_end_or_all_at_once():
    """In whichever order."""
    assert all(concerns(asked, "edge-1:cloud-1") for asked in ("edge-1:cloud-1", "cloud-1", ""))
    assert concerns("cloud-1:edge-1", "edge-1:cloud-1")
    assert not concerns("edge", "edge-1:cloud-1")
    assert not concerns("edge-2", "edge-1:cloud-1")


def test_quantities_are_read_as_people_write_them():
    """With their unit; only zero needs none."""
    assert [duration_s(text) for text in ("60ms", "0.2s", "500us", "0", "1.5 s")] == [
        0.06,
        0.2,
        0.0005,
        0.0,
        1.5,
    ]
    assert [share(text) for text in ("1%", "0.01", "0")] == [0.01, 0.01, 0.0]
    assert [rate_bps(text) for text in ("20mbit", "500kbit", "0")] == [20e6, 500e3, 0.0]
    assert (say_duration(0.06), say_rate(20e6), say_rate(0.0)) == (
        "60 ms",
        "20 Mbit/s",
        "unlimited",
    )


@pytest.mark.parametrize(
    ("read", "text"),
    [(duration_s, "60"), (duration_s, "-1ms"), (share, "101%"), (share, "x"), (rate_bps, "5")],
)
def test_other_words_are_refused(read, text):
    """The message shows how to write it."""
    with pytest.raises(ValueError, match="like"):
        read(text)


@pytest.mark.parametrize(
    "conditions", [Conditions(rtt_s=-1.0), Conditions(jitter_s=99.0), Conditions(loss=0.9)]
)
def test_conditions_that_cannot_be_are_refused(conditions):
    """Before anything changes."""
    with pytest.raises(ConfigError):
        check(conditions)
