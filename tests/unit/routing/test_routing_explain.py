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
