"""Means, intervals and paired differences."""

import math

import numpy
import pytest

from edgefn.simulate.statistics import estimate, paired, t_quantile


def test_the_interval_is_students() -> None:
    """Of 1 to 5: mean 3, sd 1.5811, t(4) 2.776."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3.0
    assert found.reach == pytest.approx(2.776 * math.sqrt(2.5 / 5))
    assert (found.low, found.high) == (3.0 - found.reach, 3.0 + found.reach)


def test_the_table_goes_over_into_the_expansion_without_a_step() -> None:
    """Known values of the distribution: t(31), t(60), t(120)."""
    assert t_quantile(31) == pytest.approx(2.0395, abs=5e-4)
    assert t_quantile(60) == pytest.approx(2.0003, abs=5e-4)
    assert t_quantile(120) == pytest.approx(1.9799, abs=5e-4)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """95 % of 2,000 times, for five normal values each."""
    rng = numpy.random.default_rng(3)
    values = rng.normal(7.0, 2.0, (2000, 5)).tolist()
    covered = sum(each.low <= 7.0 <= each.high for each in map(estimate, values))
    assert 0.935 <= covered / 2000 <= 0.965


def test_one_value_has_no_bounds() -> None:
    """It says nothing about how much values vary."""
    assert estimate([4.0]).reach == math.inf
    assert not estimate([4.0]).differs_from_zero


def test_pairs_take_out_the_luck_of_the_seed() -> None:
    """Seeds that differ by 10 hide no difference of 1 when each policy had the same ones."""
    luck = [0.0, 10.0, 20.0, 30.0]
    better = [value + 1.0 + 0.01 * index for index, value in enumerate(luck)]
    difference = paired(better, luck)
    assert difference.differs_from_zero
    assert difference.mean == pytest.approx(1.015)


def test_nothing_and_pairs_of_unequal_length_are_refused() -> None:
    """There is no mean of them."""
    with pytest.raises(ValueError, match="no values"):
        estimate([])
    with pytest.raises(ValueError):
        paired([1.0], [1.0, 2.0])
