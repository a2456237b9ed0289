"""Runs taken together over seeds, and policies against each other; and their pictures."""

import io

import pytest
from PIL import Image

from edgefn.simulate.charts import draw_course, draw_plan, draw_policies
from edgefn.simulate.plan import Plan, Point
from edgefn.simulate.result import RunResult, Second
from edgefn.simulate.summary import differences, grouped, summarise


def _run(
    *, policy: str = "edgefn", seed: int = 1, on_time: int = 90, cost: float = 5.0
) -> RunResult:
    missed = 100 - on_time
    second = Second(
        calls=50, on_time=on_time // 2, accuracy=0.8, cost=cost / 2, replicas=4.0,
        misses={"queue": missed // 2},
    )  # fmt: skip
    return RunResult(
        scenario="test",
        policy=policy,
        queue="edf",
        seed=seed,
        load=1.0,
        calls=100,
        on_time=on_time,
        misses={"queue": missed},
        floor_violations=0,
        accuracy_on_time=0.8,
        cost=cost,
        energy_j=1.0,
        hedges=2,
        replica_s=8.0,
        utilisation={"edge": 0.5},
        latencies_s={"p50": 0.01, "p99": 0.05},
        functions={"f": (100, on_time)},
        sites={"edge": (100, on_time)},
        variants={"int8@edge": on_time},
        seconds=[second, second],
        decisions="",
        events=400,
        took_s=0.1,
    )


def test_a_summary_is_of_all_seeds() -> None:
    """Means, misses by cause as shares of all calls, and costs of a thousand calls."""
    (summary,) = summarise([_run(seed=2, on_time=80), _run(seed=1)])
    assert summary.seeds == (1, 2)
    assert summary.attainment.mean == pytest.approx(0.85)
    assert summary.misses == {"queue": 0.15}
    assert summary.cost.mean == pytest.approx(50.0)
    assert summary.replicas.mean == 4.0
    assert summary.hedges.mean == pytest.approx(0.02)


def test_policies_are_compared_with_the_first_seed_by_seed() -> None:
    """What both lose at a bad seed is no difference."""
    runs = [_run(seed=seed, on_time=90 - 10 * seed) for seed in (1, 2, 3)]
    runs += [
        _run(policy="other", seed=seed, on_time=88 - 10 * seed, cost=6.0) for seed in (3, 2, 1)
    ]
    (difference,) = differences(runs)
    assert (difference.policy, difference.other) == ("edgefn", "other")
    assert difference.attainment.mean == pytest.approx(0.02)
    assert difference.attainment.reach == pytest.approx(0.0, abs=1e-12)
    assert difference.cost.mean == pytest.approx(-10.0)
    assert [len(group) for group in grouped(runs)] == [3, 3]


def test_policies_at_different_seeds_are_not_compared() -> None:
    """They did not have the same luck."""
    assert differences([_run(seed=1), _run(policy="other", seed=2)]) == []


def test_pictures_are_png_and_equal_for_equal_runs() -> None:
    """The course of one policy, policies side by side, and a plan."""
    runs = [_run(seed=1), _run(seed=2, on_time=100), _run(policy="other", seed=1)]
    summaries = summarise(runs)
    point = Point(boxes=4, summary=summaries[0])
    plan = Plan(tier="edge", sites=1, slo=0.99, points=(point,), boxes=4)
    pictures = [
        draw_course(runs[:2], warm_up_s=10.0),
        draw_policies(summaries, title="test"),
        draw_plan(plan, title="test"),
    ]
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            assert image.format == "PNG"
            assert image.width == 1600
    assert draw_plan(plan, title="test") == pictures[2]
