"""How many boxes: the search, what it tries, and what it says."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import ConfigError
from edgefn.simulate.plan import Plan, Point, boxes_at, reason, search, sites_at, with_boxes
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)
from edgefn.simulate.statistics import Estimate
from edgefn.simulate.summary import Summary


def _summary(
    attainment: float, *, reach: float = 0.0, misses: dict[str, float] | None = None
) -> Summary:
    nothing = Estimate(mean=0.0, reach=0.0, count=3)
    return Summary(
        policy="edgefn",
        queue="edf",
        load=1.0,
        seeds=(1, 2, 3),
        calls=1000,
        attainment=Estimate(mean=attainment, reach=reach, count=3),
        accuracy=nothing,
        cost=nothing,
        energy_j=nothing,
        replicas=nothing,
        hedges=nothing,
        p50_s=nothing,
        p99_s=nothing,
        misses={"queue": 0.03, "network": 0.01} if misses is None else misses,
        floor_violations=0,
    )


@given(needed=st.integers(1, 80), first=st.integers(1, 40), most=st.integers(1, 64))
def test_the_search_finds_the_fewest_and_tries_few(needed: int, first: int, most: int) -> None:
    """Each number once, never above the most, about two logarithms of it."""
    asked: list[int] = []

    def try_out(boxes: int) -> Summary:
        asked.append(boxes)
        return _summary(1.0 if boxes >= needed else 0.5)

    tried, enough = search(try_out, slo=0.99, first=first, most=most)
    assert enough == (needed if needed <= most else None)
    assert len(asked) == len(set(asked)) <= 14
    assert sorted(tried) == sorted(asked)
    assert max(asked) <= most
    if enough is not None and enough > 1:
        assert enough - 1 in tried


def _plan(points: dict[int, Summary], boxes: int | None) -> Plan:
    made = tuple(Point(boxes=number, summary=summary) for number, summary in points.items())
    return Plan(tier="edge", sites=3, slo=0.99, points=made, boxes=boxes)


def test_the_reason_says_what_one_fewer_would_miss() -> None:
    """By cause."""
    told = reason(_plan({3: _summary(0.96), 4: _summary(0.995)}, 4))
    assert told == (
        "with 3 a site 96.00 % would be in time; of the misses, 75 % by queue and 25 % by network: "
        "boxes were too busy"
    )


def test_an_interval_that_reaches_below_the_objective_is_told() -> None:
    """The mean alone may be luck."""
    told = reason(_plan({3: _summary(0.96), 4: _summary(0.995, reach=0.02)}, 4))
    assert told.endswith("begins at 97.50 %: try more seeds, or take one box more")


def test_where_boxes_do_not_help_the_reason_says_so() -> None:
    """Not even the most that were tried."""
    worst = _summary(0.9, misses={"network": 0.1})
    assert reason(_plan({64: worst}, None)) == (
        "64 boxes a site answer 90.00 % in time; of the misses, 100 % by network: "
        "boxes do not mend a network"
    )
    assert reason(_plan({1: _summary(1.0)}, 1)) == "one box a site is enough"


def _scenario(*boxes: BoxModel) -> Scenario:
    return Scenario(
        name="test",
        functions=(FunctionModel(name="f", variants=(VariantModel(name="v", each_s=0.01),)),),
        sites=(
            SiteModel(name="edge", count=3, boxes=boxes),
            SiteModel(name="more", boxes=(BoxModel(),)),
            SiteModel(name="cloud", tier="cloud", calls=0.0, boxes=(BoxModel(count=2),)),
        ),
        workload=Workload(calls_per_s=1.0),
    )


def test_more_boxes_come_in_the_mix_of_the_file() -> None:
    """In turn; other tiers stay as they are."""
    scenario = _scenario(BoxModel(speed=1.0), BoxModel(speed=2.0))
    resized = with_boxes(scenario, "edge", 5)
    assert [box.speed for box in resized.sites[0].boxes] == [1.0, 2.0, 1.0, 2.0, 1.0]
    assert len(resized.sites[1].boxes) == 5
    assert resized.sites[2] == scenario.sites[2]
    assert (boxes_at(scenario, "edge"), sites_at(scenario, "edge")) == (2, 4)


def test_groups_are_taken_apart_with_their_one_straggler() -> None:
    """Of three alike, of which the first straggles, each third one does."""
    group = BoxModel(count=3, straggles_for_s=1.0, straggles_every_s=5.0, straggler_only_first=True)
    resized = with_boxes(_scenario(group), "edge", 4)
    assert [box.straggles_every_s for box in resized.sites[0].boxes] == [5.0, 0.0, 0.0, 5.0]
    assert {box.count for box in resized.sites[0].boxes} == {1}


def test_a_tier_that_no_site_has_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match="no site has the tier 'fog'; tiers of test: cloud, edge"):
        boxes_at(_scenario(BoxModel()), "fog")


def test_a_plan_is_json() -> None:
    """An interval that says nothing is null."""
    plan = _plan({3: _summary(0.96, reach=float("inf"))}, None)
    decoded = msgspec.json.decode(msgspec.json.encode(plan))
    assert decoded["points"][0]["summary"]["attainment"]["reach"] is None
