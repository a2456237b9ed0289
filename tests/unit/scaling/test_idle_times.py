"""When the next call of a rare function is expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.scaling.idle_times import ENOUGH, IdleTimes


def idle_times(*times_s: float) -> IdleTimes:
    """Returns a histogram of these."""
    idle = IdleTimes()
    for idle_s in times_s:
        idle.add(idle_s)
    return idle


def test_a_few_samples_say_nothing() -> None:
    """And neither do times that are no idle times."""
    assert not idle_times(*[600.0] * (ENOUGH - 1)).is_telling
    assert not idle_times(*[1.0] * 100).is_telling
    assert idle_times(*[600.0] * ENOUGH).is_telling


def test_times_all_over_the_place_say_nothing() -> None:
    """Nor do times of which most are beyond the histogram."""
    assert not idle_times(*[5.0 * 1.18**index for index in range(47)]).is_telling
    assert not idle_times(*[20_000.0] * 20, *[60.0] * 10).is_telling


def test_a_timer_is_expected_when_it_is_due() -> None:
    """Called every ten minutes: kept for a moment, gone, and there again before the next call."""
    idle = idle_times(*[600.0] * 20)
    there = [idle.expects_call(idle_s, settle_s=10.0) for idle_s in (5.0, 60.0, 300.0, 600.0)]
    assert there == [True, False, False, True]
    assert not idle.expects_call(3600.0, settle_s=10.0)


def test_the_chance_of_a_call_follows_the_histogram() -> None:
    """Nothing within a minute of the last call, all within a quarter of an hour."""
    idle = idle_times(*[600.0] * 20)
    assert idle.chance(1.0, 60.0) == 0.0
    assert idle.chance(1.0, 900.0) == 1.0
    assert idle.chance(3600.0, 60.0) == 0.0


def test_old_samples_lose_their_weight() -> None:
    """A function that changes its habit is believed after a while."""
    idle = idle_times(*[600.0] * 380, *[30.0] * 1200)
    assert idle.next_s(0.5) < 40.0


@given(st.lists(st.floats(0.0, 50_000.0), max_size=60), st.floats(0.0, 20_000.0))
def test_a_chance_is_a_probability(times_s: list[float], idle_s: float) -> None:
    """Whatever was seen; and it rises with the time ahead."""
    idle = idle_times(*times_s)
    chances = [idle.chance(idle_s, within_s) for within_s in (1.0, 60.0, 3600.0)]
    assert chances == sorted(chances)
    assert all(chance == pytest.approx(min(max(chance, 0.0), 1.0)) for chance in chances)
