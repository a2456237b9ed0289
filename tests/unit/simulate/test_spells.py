"""Spells of another state."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.simulate.spells import Spells


def _spells(*, for_s: float = 4.0, every_s: float = 20.0, seed: int = 5) -> Spells:
    return Spells(numpy.random.default_rng(seed), for_s=for_s, every_s=every_s)


def test_lengths_and_gaps_have_their_means() -> None:
    """A sixth of the time is spells."""
    spells = _spells()
    spells.reach(200_000.0)
    lengths = numpy.array(spells.ends_s) - numpy.array(spells.starts_s)
    gaps = numpy.array(spells.starts_s[1:]) - numpy.array(spells.ends_s[:-1])
    assert lengths.mean() == pytest.approx(4.0, rel=0.05)
    assert gaps.mean() == pytest.approx(20.0, rel=0.05)


@given(st.lists(st.floats(0.0, 5000.0), max_size=30))
def test_what_is_asked_changes_nothing(instants: list[float]) -> None:
    """Whether it is in a spell depends on the seed and the instant alone."""
    asked, fresh = _spells(), _spells()
    fresh.reach(6000.0)
    for instant in instants:
        index = asked.at(instant)
        inside = [
            number
            for number, start in enumerate(fresh.starts_s)
            if start <= instant < fresh.ends_s[number]
        ]
        assert inside == ([index] if index >= 0 else [])
        change_s = asked.change_after(instant)
        assert change_s > instant
        assert change_s in (fresh.ends_s if inside else fresh.starts_s)


def test_a_window_has_all_spells_that_touch_it() -> None:
    """Whole ones, also those that began before it."""
    spells = _spells()
    spells.reach(1000.0)
    start, end = spells.starts_s[3], spells.ends_s[3]
    middle = (start + end) / 2
    assert list(spells.within(middle, end)) == [(start, end, spells.marks[3])]
    assert len(list(spells.within(0.0, spells.starts_s[6]))) == 6


def test_without_lengths_or_gaps_there_are_none() -> None:
    """Neither ever, nor an endless search for them."""
    for spells in (_spells(for_s=0.0), _spells(every_s=0.0)):
        assert spells.at(1e9) == -1
        assert spells.change_after(0.0) == float("inf")
        assert not list(spells.within(0.0, 1e9))
