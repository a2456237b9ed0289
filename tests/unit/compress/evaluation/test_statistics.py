"""Intervals and tests over rows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.compress.evaluation.statistics import estimate, mcnemar, paired_drop, tango, wilson

SCORES = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)


def test_wilson_is_wilsons():
    """Of 81 of 263 (Newcombe 1998, table I)."""
    low, high = wilson(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_tango_is_tangos():
    """Of 12 and 2 of 50 (Tango 1998), and the other way round."""
    assert [round(end, 4) for end in tango(12, 2, 50)] == [0.0611, 0.3447]
    assert [round(end, 4) for end in tango(2, 12, 50)] == [-0.3447, -0.0611]


def test_no_difference_still_has_an_interval():
    """A hundred equal rows do not show that no drop is there."""
    drop = paired_drop(np.ones(114), np.ones(114))
    assert drop.value == 0
    assert drop.p == 1
    assert 0.02 < drop.high < 0.05
    assert drop.low == pytest.approx(-drop.high)
    halves = paired_drop(np.full(114, 0.5), np.full(114, 0.5))
    assert (halves.high, halves.p) == (drop.high, None)


@pytest.mark.parametrize(
    ("worse", "better", "p"), [(0, 0, 1.0), (1, 0, 0.5), (5, 1, 7 / 64), (0, 3, 1.0)]
)
def test_mcnemar_is_exact(worse, better, p):
    """The tail of a fair coin."""
    assert mcnemar(worse, better) == p


@given(st.data())
def test_a_drop_lies_in_its_interval(data):
    """Whatever the rows are, and swapping the two turns the interval round."""
    first = np.array(data.draw(SCORES))
    size = len(first)
    second = np.array(
        data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size))
    )
    drop, back = paired_drop(first, second), paired_drop(second, first)
    assert -1 <= drop.low <= drop.value + 1e-9
    assert drop.value - 1e-9 <= drop.high <= 1
    assert back.low == pytest.approx(-drop.high, abs=1e-6)


@given(SCORES)
def test_a_share_lies_in_its_interval(scores):
    """Also where it is 0 or 1."""
    found = estimate(np.array(scores))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.rows == len(scores)


def test_scores_between_0_and_1_are_resampled():
    """The interval of the mean shrinks with the root of the rows, and is the same each time."""
    rng = np.random.default_rng(1)
    few, many = rng.uniform(size=100), rng.uniform(size=10_000)
    narrow, wide = estimate(many), estimate(few)
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * math.sqrt(1 / 12 / 100), rel=0.25)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    assert estimate(few) == wide
    drop = paired_drop(few, few * 0.9)
    assert drop.low < 0.05 < drop.high < 0.07


def test_unequal_rows_cannot_be_paired():
    """That would be a mistake of the caller."""
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_drop(np.ones(3), np.ones(4))
