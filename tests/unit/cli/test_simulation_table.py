"""Tables of simulations."""

import io

from rich.console import Console
from rich.table import Table

from edgefn.cli import simulation_table
from edgefn.simulate.plan import Plan, Point
from edgefn.simulate.statistics import Estimate
from edgefn.simulate.summary import Difference, Summary


def _estimate(mean: float, reach: float = 0.012) -> Estimate:
    return Estimate(mean=mean, reach=reach, count=3)


def _summary(policy: str, *, reach: float = 0.012) -> Summary:
    return Summary(
        policy=policy,
        queue="edf",
        load=1.0,
        seeds=(1, 2, 3),
        calls=30_000,
        attainment=_estimate(0.9876, reach),
        accuracy=_estimate(0.72),
        cost=_estimate(105.3),
        energy_j=_estimate(0.0),
        replicas=_estimate(168.0),
        hedges=_estimate(0.031),
        p50_s=_estimate(0.0276),
        p99_s=_estimate(0.123),
        misses={"queue": 0.0101, "network": 0.0023, "compute": 0.0},
        floor_violations=0,
    )


def _shown(table: Table) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_policies_and_their_misses_fit_a_terminal_of_80_columns() -> None:
    """With intervals, in percent and milliseconds, nothing cut."""
    summaries = [_summary("least_outstanding"), _summary("edgefn", reach=float("inf"))]
    header, _, first, second = _shown(simulation_table.policies_table(summaries))
    assert header.split() == [
        "policy", "in", "time,", "%", "accuracy,", "%", "cost/1000", "p50,", "ms", "p99,", "ms",
    ]  # fmt: skip
    assert first.split() == [
        "least_outstanding",
        "98.76",
        "±",
        "1.20",
        "72.0",
        "105.3",
        "27.6",
        "123",
    ]
    assert second.split()[:2] == ["edgefn", "98.76"]
    assert "±" not in second
    misses = _shown(simulation_table.misses_table(summaries))
    assert misses[2].split() == ["least_outstanding", "0.00", "0.23", "1.01", "3.1", "168.0"]


def test_a_difference_within_the_luck_is_marked() -> None:
    """And one outside of it is not."""
    difference = Difference(
        policy="edgefn",
        other="round_robin",
        attainment=_estimate(0.02, 0.01),
        accuracy=_estimate(0.001, 0.01),
        cost=_estimate(-3.0, float("inf")),
    )
    row = _shown(simulation_table.differences_table([difference]))[2]
    assert row.split() == [
        "round_robin", "+2.00", "±", "1.00", "~", "+0.10", "±", "1.00", "-3.00",
    ]  # fmt: skip


def test_a_plan_marks_the_number_that_is_enough() -> None:
    """Largest causes first; those that missed nothing are left out."""
    points = tuple(Point(boxes=boxes, summary=_summary("edgefn")) for boxes in (3, 4))
    plan = Plan(tier="edge", sites=2, slo=0.98, points=points, boxes=4)
    shown = "\n".join(_shown(simulation_table.plan_table(plan)))
    assert shown.count("enough") == 1
    assert simulation_table.misses_of(points[0].summary.misses) == "queue 1.01, network 0.23"
    assert simulation_table.misses_of({"queue": 0.0}) == "none"
