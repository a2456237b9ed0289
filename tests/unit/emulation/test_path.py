"""How long bytes take over an emulated path."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.emulation.path import Conditions, Direction, Order, timeout_s


def direction(seed=1):
    return Direction(random.Random(seed).random)


def test_bytes_take_half_a_round_trip():
    """Of nothing else when the link has nothing else."""
    assert direction().arrival_s(5.0, 100, Conditions(rtt_s=0.06)) == pytest.approx(5.03)
    assert direction().arrival_s(5.0, 100, Conditions()) == 5.0


def test_jitter_is_within_its_bounds_and_uses_them():
    """It never makes the way shorter."""
    conditions = Conditions(rtt_s=0.06, jitter_s=0.02)
    one = direction()
    delays = [one.arrival_s(0.0, 100, conditions) for _ in range(1000)]
    assert 0.03 <= min(delays) < 0.031 and 0.039 < max(delays) <= 0.04


def test_the_rate_is_shared_by_all_that_is_sent():
    """What comes later waits for what is being sent."""
    conditions = Conditions(rate_bps=8e6)
    one = direction()
    assert one.arrival_s(0.0, 1000, conditions) == pytest.approx(0.001)
    assert one.arrival_s(0.0, 1000, conditions) == pytest.approx(0.002)
    assert one.arrival_s(1.0, 1000, conditions) == pytest.approx(1.001)


def test_loss_delays_as_many_as_are_lost():
    """By a timeout and its doublings, and more often when there are more segments."""
    conditions = Conditions(rtt_s=0.06, jitter_s=0.02, loss=0.01)
    assert timeout_s(conditions) == pytest.approx(0.2)
    assert timeout_s(Conditions(rtt_s=0.3, jitter_s=0.05)) == pytest.approx(0.5)
    one = direction()
    small = sum(one.arrival_s(0.0, 100, conditions) > 0.2 for _ in range(20000)) / 20000
    large = sum(one.arrival_s(0.0, 32768, conditions) > 0.2 for _ in range(20000)) / 20000
    assert small == pytest.approx(0.01, abs=0.003)
    assert large == pytest.approx(1 - 0.99**23, abs=0.015)


def test_the_same_seed_gives_the_same_luck():
    """So that a session can be repeated."""
    conditions = Conditions(rtt_s=0.06, jitter_s=0.02, loss=0.05)

    def arrivals(seed):
        one = direction(seed)
        return [one.arrival_s(n * 0.01, 2000, conditions) for n in range(100)]

    assert arrivals(3) == arrivals(3) != arrivals(4)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_connection_keeps_its_order(arrivals):
    """Whatever is late makes all that follows late."""
    order = Order()
    delivered = [order.after(arrival) for arrival in arrivals]
    assert delivered == sorted(delivered)
    assert all(due >= arrival for due, arrival in zip(delivered, arrivals, strict=True))
