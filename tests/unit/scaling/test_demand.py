"""What calls wanted, recorded in bounded memory."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.scaling.demand import (
    MAX_MOMENTS,
    NO_DEADLINE_BIN,
    Demand,
    DemandReport,
    slack_bin,
    slack_of,
)


def test_each_call_is_a_moment_of_its_own() -> None:
    """As long as they are few: when it came, what it works, how long it may wait."""
    demand = Demand()
    demand.want(1.0, 0.1, 0.5)
    demand.want(2.0, 0.2, math.inf)
    report = demand.take()
    assert (report.moments_s, report.calls, report.work_s) == ([1.0, 2.0], [1, 1], [0.1, 0.2])
    assert report.slacks == {slack_bin(0.5): 1, NO_DEADLINE_BIN: 1}
    assert not demand
    assert demand.take() == DemandReport()


@pytest.mark.parametrize("slack_s", [0.0, -1.0])
def test_a_call_that_no_replica_could_answer_is_no_demand(slack_s: float) -> None:
    """It would only start replicas that help nobody."""
    demand = Demand()
    demand.want(1.0, 0.1, slack_s)
    assert not demand


@given(st.lists(st.tuples(st.floats(0.0, 0.01), st.floats(0.0, 1.0)), max_size=1500))
def test_however_many_calls_come_nothing_is_lost(calls: list[tuple[float, float]]) -> None:
    """Neighbours become one moment: the sums stay, the times rise, and no moment comes late."""
    demand, now_s = Demand(), 0.0
    for after_s, work_s in calls:
        now_s += after_s
        demand.want(now_s, work_s, 0.1)
    report = demand.take()
    assert len(report.moments_s) <= MAX_MOMENTS
    assert sum(report.calls) == len(calls)
    assert sum(report.work_s) == pytest.approx(sum(work_s for _, work_s in calls))
    assert report.moments_s == sorted(report.moments_s)


def test_a_clock_that_jumps_costs_nothing() -> None:
    """However far moments are apart, one look makes them few again."""
    demand = Demand()
    for number in range(10 * MAX_MOMENTS):
        demand.want(2.0 ** min(number, 1000), 0.1, 0.1)
    assert len(demand.take().moments_s) <= MAX_MOMENTS


def test_a_report_survives_the_way_to_the_box() -> None:
    """It is a part of a gateway's report."""
    demand = Demand()
    demand.want(1.0, 0.1, 0.5)
    report = demand.take()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=DemandReport) == report


@given(st.floats(0.001, 600.0))
def test_a_bin_never_promises_more_slack_than_there_is(slack_s: float) -> None:
    """Its lower edge is within a tenth below."""
    assert slack_s / 1.1001 <= slack_of(slack_bin(slack_s)) <= slack_s * 1.0001
