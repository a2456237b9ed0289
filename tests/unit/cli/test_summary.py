"""Percentiles and counts of many calls."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.cli.summary import percentile, summary_of
from edgefn.client.answer import Answer


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_with_enough_below_it(
    values: list[float], percent: int
) -> None:
    """At least that share of the values does not exceed it, and of any smaller value less does."""
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    smaller = [value for value in values if value < found]
    assert len(smaller) * 100 < percent * len(values)


def test_of_nothing_there_is_no_percentile() -> None:
    """If every call failed the times are zero."""
    assert percentile([], 99) == 0.0


def test_a_late_answer_and_a_refusal_for_the_deadline_are_misses() -> None:
    """Other errors are errors, but not misses; only answers count for the rate."""
    answers = [
        Answer(value=1, sla="met", elapsed_ms=2.0, queue_ms=0.5, compute_ms=1.0),
        Answer(value=1, sla="missed", elapsed_ms=60.0, queue_ms=0.5, compute_ms=1.0),
    ]
    errors = ["queue_full", "deadline_exceeded", "queue_full", "deadline_unattainable"]
    summary = summary_of(answers, errors, seconds=0.5)
    assert (summary.calls, summary.answered, summary.misses) == (6, 2, 3)
    assert list(summary.errors.items())[0] == ("queue_full", 2)
    assert summary.calls_per_s == 4.0
    assert (summary.p50_ms, summary.p99_ms, summary.queue_p50_ms) == (2.0, 60.0, 0.5)
