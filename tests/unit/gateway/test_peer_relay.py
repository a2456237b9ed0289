"""What a box offers peers that others of its peers have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.gateway.peer_relay import Lacking, Reached, Relays
from edgefn.gateway.peer_wire import OfferedFunction, OfferedVariant, Relay, Summary

LACKING = {"f": Lacking(digest="d1", tiers=("edge",), served=())}


def reached(box, *variants, tier="edge", digest="d1", way_s=0.02):
    summary = Summary((OfferedFunction("f", digest, variants),))
    return Reached(box=box, tier=tier, way_s=way_s, summary=summary)


def test_several_boxes_are_one_choice_as_near_as_the_best_and_as_many_as_all():
    """Which of them answers is decided when a call comes."""
    far = reached("edge-1", OfferedVariant("int8", 2, 0.5, 0.01), way_s=0.08)
    near = reached("edge-2", OfferedVariant("int8", 1, 0.7, 0.02), way_s=0.02)
    (relay,) = Relays(LACKING, (far, near)).offered_to("edge-3")
    offered = OfferedVariant("int8", 3, 0.7, 0.02, 0.02)
    assert relay == Relay("edge", (OfferedFunction("f", "d1", (offered,)),))


def test_a_box_without_a_replica_is_as_far_as_its_start_takes():
    """A busier one that runs is nearer."""
    cold = reached("edge-1", OfferedVariant("int8", 0, 2.0, 0.0))
    busy = reached("edge-2", OfferedVariant("int8", 1, 2.0, 0.3))
    (relay,) = Relays(LACKING, (cold, busy)).offered_to("edge-3")
    assert relay.functions[0].variants[0].backlog_s == 0.3


@pytest.mark.parametrize(
    ("lacking", "peer"),
    [
        ({}, {}),
        ({"f": Lacking(digest="d2", tiers=("edge",), served=())}, {}),
        ({"f": Lacking(digest="d1", tiers=("cloud",), served=())}, {}),
        ({"f": Lacking(digest="d1", tiers=("edge",), served=("int8",))}, {}),
        (LACKING, {"tier": "cloud"}),
        (LACKING, {"digest": "d2"}),
    ],
)
def test_what_could_not_be_sent_on_is_not_offered(lacking, peer):
    """Another bundle, a tier that may not run it, or what is answered here anyway."""
    relays = Relays(lacking, (reached("edge-1", OfferedVariant("int8", 1), **peer),))
    assert relays.offered_to("edge-2") == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["v", "w"])), max_size=8))
def test_no_box_is_offered_what_only_it_has(has):
    """Of each variant, it is told of the others' replicas alone."""
    boxes = {box: {v for b, v in has if b == box} for box in "abc"}
    peers = [reached(box, *(OfferedVariant(v, 1) for v in sorted(boxes[box]))) for box in boxes]
    relays = Relays(LACKING, peers)
    for box in boxes:
        offered = {
            one.name: one.replicas
            for relay in relays.offered_to(box)
            for function in relay.functions
            for one in function.variants
        }
        others = [v for other in boxes if other != box for v in boxes[other]]
        assert offered == {v: others.count(v) for v in set(others)}
