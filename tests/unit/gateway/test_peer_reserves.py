"""Which peers a box asks to have replicas ready for it."""

import msgspec
import pytest

from edgefn.errors import ProtocolError
from edgefn.gateway.control import FunctionRoute
from edgefn.gateway.peer_relay import Reached
from edgefn.gateway.peer_reserves import reserves_of
from edgefn.gateway.peer_wire import (
    MAX_RESERVE,
    Greeting,
    OfferedFunction,
    OfferedVariant,
    PeerFrameReader,
    Summary,
    encode_summary,
)
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec

SCHEMA = FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=())
SERVES = (OfferedFunction("f", "d1", (OfferedVariant("int8"),)),)


def here(tier="edge"):
    return Greeting(box="here", tier=tier, site="here", boot_id="b")


def route(reserve=3, **spec):
    return FunctionRoute(
        name="f",
        revision=1,
        spec=FunctionSpec(name="f", **spec),
        schema=SCHEMA,
        variants=(),
        default="int8",
        replicas=(),
        digest="d1",
        reserve=reserve,
    )


def peer(box, tier="cloud", functions=SERVES):
    return Reached(box=box, tier=tier, way_s=0.0, summary=Summary(functions))


def test_the_boxes_of_the_next_tier_share_it_in_whole_replicas():
    """Boxes of this tier are not asked: calls go to them as they have room."""
    peers = [peer("cloud-1"), peer("cloud-2"), peer("edge-2", "edge")]
    asked = reserves_of([route(3)], here(), peers)
    assert asked.keys() == {"cloud-1", "cloud-2"}
    assert sorted(one["f"] for one in asked.values()) == [1, 2]
    assert reserves_of([route(0)], here(), peers) == {}


def test_a_box_that_gets_no_share_is_told_of_none():
    """One replica is asked of one box."""
    asked = reserves_of([route(1)], here(), [peer("cloud-1"), peer("cloud-2")])
    assert [*asked.values()] == [{"f": 1}]


def test_the_next_tier_that_serves_it_is_asked_and_never_a_lower_one():
    """In the order of the function: so what is asked for cannot go in a circle."""
    tiers = ("edge", "site", "cloud")
    peers = [peer("s", "site"), peer("c", "cloud"), peer("e", "edge")]
    routes = [route(2, tiers=tiers)]
    assert reserves_of(routes, here(), peers) == {"s": {"f": 2}}
    assert reserves_of(routes, here(), [*peers[1:], peer("s", "site", ())]) == {"c": {"f": 2}}
    assert reserves_of(routes, here("site"), peers) == {"c": {"f": 2}}
    assert reserves_of(routes, here("cloud"), peers) == {}
    assert reserves_of(routes, here("attic"), peers) == {}


@pytest.mark.parametrize(
    "functions",
    [
        (),
        (OfferedFunction("f", "d2", (OfferedVariant("int8"),)),),
        (OfferedFunction("f", "d1", ()),),
    ],
)
def test_who_does_not_serve_the_same_bundle_is_not_asked(functions):
    """It would get no call for it."""
    assert reserves_of([route()], here(), [peer("cloud-1", functions=functions)]) == {}


def test_what_is_asked_for_goes_over_the_wire_and_may_be_left_out():
    """A peer that knows nothing of it can be understood, and understands."""
    told = Summary(SERVES, (), {"f": 2})
    assert PeerFrameReader().feed(encode_summary(told)) == [told]
    assert b"reserves" not in msgspec.msgpack.encode(Summary(SERVES))


@pytest.mark.parametrize("count", [-1, MAX_RESERVE + 1, 1.5, float("nan")])
def test_what_is_no_number_of_replicas_is_refused(count):
    """What a peer says can start processes here."""
    frame = encode_summary(Summary(SERVES, (), {"f": count}))
    with pytest.raises(ProtocolError, match="malformed"):
        PeerFrameReader().feed(frame)


def test_no_more_is_asked_for_than_a_peer_takes():
    """However much is missing."""
    asked = reserves_of([route(10 * MAX_RESERVE)], here(), [peer("cloud-1")])
    assert asked == {"cloud-1": {"f": MAX_RESERVE}}
