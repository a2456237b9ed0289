"""What moments need, whatever the order in which they are told."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.demand import DemandReport
from edgefn.scaling.moments import MAX_MOMENTS, Moments


def reported(calls: list[tuple[float, float]]) -> DemandReport:
    calls = sorted(calls)
    return DemandReport(
        moments_s=[at_s for at_s, _ in calls],
        calls=[1] * len(calls),
        work_s=[work_s for _, work_s in calls],
    )


def fresh() -> Moments:
    moments = Moments()
    moments.set_spans(0.1, 2.0, 0.3)
    return moments


def test_a_moment_needs_what_came_with_it_and_before_it() -> None:
    """In the span that asks for most: here two tenths, with three more to wait."""
    moments = fresh()
    moments.add([reported([(1.0, 0.5), (1.15, 0.5)])])
    assert moments.needs.tolist() == pytest.approx([0.5 / 0.4, 1.0 / 0.5])
    assert moments.work_s == pytest.approx(1.0)


calls = st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(0.0, 1.0)), min_size=1, max_size=30)


@settings(max_examples=50)
@given(st.lists(calls, min_size=1, max_size=4))
def test_the_order_of_reports_does_not_matter(reports: list[list[tuple[float, float]]]) -> None:
    """Several gateways report what came at the same time: it is as if one had."""
    apart, at_once = fresh(), fresh()
    for report in reports:
        apart.add([reported(report)])
    at_once.add([reported([call for report in reports for call in report])])
    assert np.allclose(apart.times_s, at_once.times_s)
    assert apart.work_s == pytest.approx(at_once.work_s)
    # Of calls at the very same time the last one counts for all; which one it is may differ.
    last = np.append(np.diff(apart.times_s) > 0.0, True)
    assert np.allclose(apart.needs[last], at_once.needs[last])


def test_other_spans_and_another_slack_are_applied_to_all() -> None:
    """As if they had been set from the beginning."""
    changed, same = Moments(), Moments()
    same.set_spans(0.2, 3.0, 0.5)
    for moments in (changed, same):
        moments.add([reported([(0.1 * number, 0.1) for number in range(30)])])
    changed.set_spans(0.2, 3.0, 9.0)
    changed.set_slack(0.5)
    assert changed.needs.tolist() == same.needs.tolist()


def test_what_is_forgotten_counts_no_more() -> None:
    """Neither old moments, nor those that are too many; what later ones need stays."""
    moments = fresh()
    moments.add([reported([(0.01 * number, 0.01) for number in range(MAX_MOMENTS + 500)])])
    assert len(moments) == MAX_MOMENTS
    before = moments.needs[-10:].tolist()
    moments.forget(moments.times_s[-10])
    assert moments.needs.tolist() == before
    assert moments.work_s == pytest.approx(0.1)
    moments.forget(math.inf)
    assert (len(moments), moments.work_s) == (0, 0.0)
    moments.add([reported([(99.0, 0.8)])])
    assert moments.needs.tolist() == pytest.approx([0.8 / 0.4])
