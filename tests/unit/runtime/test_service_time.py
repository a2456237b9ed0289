"""The estimator of how long a batch takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn_runtime.service_time import FLOOR_S, MAX_RISE, ServiceTime

SECONDS = st.floats(1e-5, 10.0)
SIZES = st.integers(1, 64)


def learned(*observations: tuple[int, float]) -> ServiceTime:
    """Returns an estimator that has seen these, after a first batch that it does not count."""
    service = ServiceTime()
    service.observe(1, 100.0)
    for batch, duration_s in observations:
        service.observe(batch, duration_s)
    return service


def test_is_optimistic_while_unknown():
    """Nothing is expected to take any time before something was seen, the first batch included."""
    assert learned().predict(64) == 0.0
    assert learned().fitting(1e-9) > 1_000_000


@settings(max_examples=50, deadline=None)
@given(fixed_s=st.floats(0.0, 1.0), each_s=SECONDS, sizes=st.lists(SIZES, min_size=8, max_size=40))
def test_finds_both_parts(fixed_s, each_s, sizes):
    """From exact observations of different sizes it recovers the line, whatever their order."""
    sizes = [1, 2, 64, 3, *sizes]
    service = learned(*((size, fixed_s + each_s * size) for size in sizes for _ in range(9)))
    for size in (1, 7, 64):
        assert service.predict(size) == pytest.approx(fixed_s + each_s * size, rel=0.02, abs=1e-6)


def test_a_size_seen_alone_promises_no_saving():
    """If only single calls were seen, a batch is expected to take as long as its calls would."""
    assert learned((1, 0.01), (1, 0.01)).predict(8) == pytest.approx(0.08)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SIZES, SECONDS), max_size=60))
def test_never_expects_less_of_more(observations):
    """Whatever was seen, predictions are finite, not negative, and grow with the batch."""
    service = learned(*observations)
    predicted = [service.predict(size) for size in range(1, 65)]
    assert predicted == sorted(predicted)
    assert 0.0 <= predicted[0] <= predicted[-1] < 1e6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SIZES, SECONDS), max_size=30), st.floats(-1.0, 100.0))
def test_fitting_is_the_largest_that_fits(observations, slack_s):
    """`fitting` is exactly where `predict` crosses the slack."""
    service = learned(*observations)
    calls = service.fitting(slack_s)
    if slack_s <= 0:
        assert calls == 0
    else:
        assert calls == 0 or service.predict(calls) <= slack_s
        assert service.predict(calls + 1) > slack_s or calls > 1_000_000


def test_one_outlier_is_not_believed():
    """A batch that took a thousand times longer than expected counts for a few times only."""
    service = learned(*[(1, 0.001)] * 20)
    service.observe(1, 1.0)
    assert service.predict(1) < 0.001 * MAX_RISE


def test_a_slower_machine_is_believed_soon():
    """If every batch takes thirty times longer from now on, thirty batches are enough."""
    service = learned(*[(1, 0.001)] * 50)
    for _ in range(30):
        service.observe(1, 0.03)
    assert service.predict(1) > 0.02


def test_good_news_is_believed_at_once():
    """After a run of slow batches, one quick one brings the estimate near it."""
    service = learned(*[(1, 1.0)] * 50)
    service.observe(1, 0.001)
    service.observe(1, 0.001)
    assert service.predict(1) < 0.05


def test_rises_from_zero():
    """Batches too short for the clock do not pin the estimate to zero."""
    service = learned((1, 0.0), (1, 0.0))
    for _ in range(20):
        service.observe(1, 0.01)
    assert service.predict(1) > FLOOR_S
