"""Decisions are explained with the numbers by which they are made."""

import msgspec
import pytest

from edgefn.errors import NotDeployed
from edgefn.routing.decisions import Send, Wait
from edgefn.routing.events import ProbeAnswered


@pytest.mark.parametrize("within_s", [None, 0.5, 0.03, 0.001])
def test_the_first_candidate_is_the_one_that_is_chosen(two_tiers, make_call, within_s):
    """With the legs of the `Send`; the others say why they lost."""
    site = two_tiers()
    site.router.observe(0.0, ProbeAnswered("cloud", 0.02, 64))
    call = make_call(deadline_s=within_s)
    told = site.router.explain(0.0, call)
    decision = site.decide(call)
    first = told.candidates[0]
    if not isinstance(decision, Send):
        assert told.decision.startswith("refused") or isinstance(decision, Wait)
        assert all(one.lost_because for one in told.candidates)
        return
    assert not first.lost_because
    assert all(one.lost_because for one in told.candidates[1:])
    assert (first.endpoint, first.place) == (decision.endpoint, decision.place)
    assert first.network_ms == pytest.approx(decision.network_s * 1000, abs=0.001)
    assert first.predicted_ms == pytest.approx(decision.predicted_s * 1000, abs=0.001)
    assert first.chance == pytest.approx(decision.chance, abs=0.001)
    assert max(told.candidates, key=lambda one: one.score) is first
    assert msgspec.json.decode(msgspec.json.encode(told))["function"] == "f"


def test_what_cannot_be_chosen_is_told_too(make_site, make_function, make_variant, make_call):
    """Variants that are not served, or must be started first."""
    site = make_site(
        make_function(
            make_variant("up", "r1", accuracy=0.9),
            make_variant("cold", load_s=3.0),
            make_variant("foreign", unavailable="it needs LiteRT"),
            make_variant("poor", "r2", accuracy=0.1),
            min_accuracy=0.5,
        )
    )
    told = site.router.explain(0.0, make_call(deadline_s=0.1))
    why = {one.variant: one.lost_because for one in told.candidates}
    assert why == {
        "up": "",
        "cold": "no chance to start in time",
        "foreign": "it needs LiteRT",
        "poor": "its accuracy is below the floor",
    }
    assert told.decision == "sent to up here"
    with pytest.raises(NotDeployed):
        site.router.explain(0.0, make_call(function="ghost"))


def test_explaining_counts_nothing(site_of, make_call):
    """However often it is asked."""
    site = site_of("a", max_outstanding=1)
    for _ in range(5):
        site.router.explain(0.0, make_call())
    assert isinstance(site.decide(), Send)


def test_a_refusal_is_told_as_it_would_be(site_of, make_call):
    """In the words that the caller gets."""
    site = site_of("a")
    site.warm(0.1, a=0.5)
    call = make_call(deadline_s=site.now_s + 0.2)
    told = site.router.explain(site.now_s, call)
    decision = site.decide(call)
    assert told.decision == f"refused: {decision.error.message}"
    assert told.candidates[0].lost_because == "no chance to answer in time"
    late = make_call(deadline_s=site.now_s)
    assert site.router.explain(site.now_s, late).decision.startswith("refused: the deadline passed")


def test_what_is_sent_against_the_prediction_is_told(site_of, make_call):
    """It is chosen, whatever its score."""
    site = site_of("a")
    site.warm(1.0, a=0.0)
    site.now_s += 5.0
    call = make_call(deadline_s=site.now_s + 0.05)
    told = site.router.explain(site.now_s, call)
    assert told.decision == "sent to v here, to learn whether it has no chance there"
    assert told.candidates[0].lost_because == ""
    assert isinstance(site.decide(call), Send)


def test_a_variant_below_the_floor_is_told_to_be_chosen(
    make_site, make_function, make_variant, make_call
):
    """If it is the only one in time, and the function allows it."""
    low = make_variant("low", "r1", accuracy=0.5, each_s=0.01)
    high = make_variant("high", "r2", accuracy=0.9, each_s=0.5)
    site = make_site(make_function(low, high, min_accuracy=0.7, degrade=True))
    told = site.router.explain(0.0, make_call(deadline_s=0.1))
    assert told.decision == "sent to low here, below the floor"
    why = {one.variant: one.lost_because for one in told.candidates}
    assert why == {"low": "", "high": "no chance to answer in time"}
    told = site.router.explain(0.0, make_call(deadline_s=2.0))
    assert {one.variant: one.lost_because for one in told.candidates}["low"] == "below the floor"


def test_under_overload_it_is_told_who_must_be_sure_and_who_gives_way(site_of, make_call):
    """With the chance that is asked for, and the share that is refused by lot."""
    site = site_of("a", each_s=0.01)
    admission = site.router._admission
    for _ in range(7):
        site.send(within_s=1.0)
    for _ in range(20):
        for priority in (1, 9):
            for _ in range(10):
                admission.arrived(priority)
                admission.refused(priority)
        admission.tick()
    share = admission.refused_share(1)
    assert 0.0 < share < 1.0
    told = site.router.explain(site.now_s, make_call(priority=1, deadline_s=0.5))
    refused = f"{share:.0%} of the calls of its priority are refused instead"
    assert told.decision == f"sent to v here; {refused}"
    told = site.router.explain(site.now_s, make_call(priority=1, deadline_s=0.11))
    assert "must have a chance of 90%" in told.candidates[0].lost_because
    assert "of cases more than the call can wait" in told.decision
    told = site.router.explain(site.now_s, make_call(priority=0, deadline_s=0.5))
    assert told.decision.startswith("refused: the box has more work than it can do in time")
