"""How often a call is forwarded, and where it never goes."""

import pytest

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Refuse, Send
from edgefn.routing.events import Connected, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, Place

PLACES = (
    Place(tier="cloud"),
    Place(name="second", tier="cloud"),
    Place(name="edge", tier="edge"),
    Place(name="second:edge", tier="edge", forwards=2),
)


@pytest.fixture
def decide(make_function, make_variant, make_call):
    """Decides on a call of a router that has the function at a peer, and by way of it at more."""

    def decide_one(*endpoints, hops=0, not_at=(), max_forwards=2):
        router = Router(max_forwards=max_forwards)
        more = tuple(
            DeployedEndpoint(name=place, place=place, beyond_s=0.05 if ":" in place else 0.0)
            for place in endpoints
        )
        deployed = make_function(make_variant("v", more=more, unavailable="not here"))
        router.observe(0.0, TableChanged((deployed,), PLACES))
        for place in endpoints:
            router.observe(0.0, Connected(place))
        call = make_call(hops=hops, choice=Choice(not_at=not_at), deadline_s=2.0)
        return router.decide(0.0, call, lambda: 0.5)

    return decide_one


def place_of(decision):
    return decision.place if isinstance(decision, Send) else None


def test_what_came_from_a_place_does_not_go_back_there(decide):
    """Though it is the nearest that has the function."""
    assert place_of(decide("edge", "second", hops=1)) == "edge"
    assert place_of(decide("edge", "second", hops=1, not_at=("edge",))) == "second"
    assert isinstance(decide("edge", hops=1, not_at=("edge",)), Refuse)


@pytest.mark.parametrize(("hops", "goes"), [(0, True), (1, True), (2, False), (3, False)])
def test_what_was_forwarded_as_often_as_may_be_stays(decide, hops, goes):
    """Wherever else it could go."""
    assert (place_of(decide("second", hops=hops)) == "second") == goes


@pytest.mark.parametrize(("hops", "goes"), [(0, True), (1, False)])
def test_a_place_beyond_another_takes_two_forwards(decide, hops, goes):
    """So nothing that was forwarded goes there."""
    assert (place_of(decide("second:edge", hops=hops)) == "second:edge") == goes


def test_the_way_beyond_a_place_counts(decide):
    """It is part of what is predicted, and a nearer place is preferred."""
    send = decide("second:edge")
    assert send.predicted_s >= 0.05
    assert place_of(decide("second:edge", "edge")) == "edge"


def test_a_router_forwards_once_unless_it_is_told_otherwise(decide):
    """As the simulated ones do."""
    assert place_of(decide("second", max_forwards=1)) == "second"
    assert isinstance(decide("second", hops=1, max_forwards=1), Refuse)
