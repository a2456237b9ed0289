"""How many servers a stream of calls needs."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.demand import Demand
from edgefn.scaling.envelope import PATIENT_S, WINDOW_S, Envelope
from edgefn.scaling.moments import MAX_MOMENTS


def envelope_of(calls: list[tuple[float, float]], slack_s: float) -> Envelope:
    """Returns the envelope of calls, given when they come and how long they run."""
    envelope, demand = Envelope(), Demand()
    for number, (at_s, work_s) in enumerate(calls):
        demand.want(at_s, work_s, slack_s)
        if number % 50 == 49:
            envelope.add(demand.take())
    envelope.add(demand.take())
    return envelope


def test_nothing_needs_nothing() -> None:
    """An empty window has no need, and nobody is late."""
    curve = Envelope().curve(5.0)
    assert (curve.need(0.99), curve.late(0.0)) == (0.0, 0.0)


def test_an_even_stream_needs_its_rate() -> None:
    """Ten calls a second of a tenth of a second keep one server busy, and a little of a second."""
    envelope = envelope_of([(0.1 * index, 0.1) for index in range(200)], slack_s=0.2)
    assert envelope.curve(20.0).need(0.99) == pytest.approx(1 / 0.98, rel=0.1)


def test_what_comes_at_once_needs_servers_by_its_slack() -> None:
    """Six calls of a second that may wait for two: each server runs three of them."""
    bursts = [(5.0 * number + 0.001 * call, 1.0) for number in range(4) for call in range(6)]
    need = envelope_of(bursts, slack_s=2.0).curve(20.0).need(0.99)
    assert need == pytest.approx(2.0, rel=0.1)
    patient = envelope_of(bursts, slack_s=8.0).curve(20.0).need(0.99)
    assert 6 / 5 < patient < 1.6, "little more than the rate"


def test_a_burst_of_one_call_in_a_hundred_may_be_late() -> None:
    """The quantile is over calls: what fewer than the SLO allows need does not count."""
    calls = [(0.1 * index, 0.01) for index in range(200)]
    calls[100] = (10.0, 1.0)  # it alone needs ten times as much
    curve = envelope_of(calls, slack_s=0.1).curve(20.0)
    assert curve.need(0.95) < 0.5 * curve.need(1.0)
    assert curve.late(curve.need(0.95)) <= 0.05 + 1e-9


def test_a_rate_that_lasts_is_believed_before_it_fills_the_window() -> None:
    """Two seconds after it has doubled, and not twenty."""
    slow = [(0.1 * index, 0.1) for index in range(180)]
    fast = [(18.0 + 0.05 * index, 0.1) for index in range(41)]
    assert envelope_of([*slow, *fast], slack_s=0.2).curve(20.0).offered == pytest.approx(2, rel=0.1)


def test_calls_without_a_deadline_wait_for_a_while() -> None:
    """Without any patience each of a burst would need a server, with endless patience none."""
    bursts = [(4.0 * number + 0.001 * call, 0.1) for number in range(5) for call in range(40)]
    need = envelope_of(bursts, math.inf).curve(20.0).need(0.99)
    assert need == pytest.approx(4.0 / (PATIENT_S + 0.1), rel=0.1)


def test_callers_that_wait_for_each_answer_want_no_more_servers() -> None:
    """They keep two servers full, of whatever number of them; with deadlines that is too much."""
    full = [(0.05 * index, 0.1) for index in range(400)]
    patient, hurried = (envelope_of(full, slack_s).curve(20.0) for slack_s in (math.inf, 0.5))
    assert patient.need(0.99) <= 2.0 < hurried.need(0.99)
    assert patient.is_patient


def test_old_calls_are_forgotten() -> None:
    """After the window nothing is left, neither work nor deadlines."""
    envelope = envelope_of([(0.1, 0.5)], slack_s=0.2)
    assert envelope.tightest_s() < 0.2
    assert envelope.curve(WINDOW_S + 1.0).need(0.99) == 0.0
    assert math.isinf(envelope.tightest_s())


def test_it_stays_small_however_many_calls_come() -> None:
    """A hundred thousand calls: what is kept is bounded, and the rate is right."""
    calls = [(0.0001 * index, 0.0002) for index in range(100_000)]
    envelope = envelope_of(calls, slack_s=0.01)
    curve = envelope.curve(10.0)
    assert len(curve.calls) <= MAX_MOMENTS
    assert curve.offered == pytest.approx(2.0, rel=0.3)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.05, 2.0))
def test_more_servers_and_more_patience_never_hurt(seed: int, slack_s: float) -> None:
    """Need falls with slack and rises with the SLO; fewer calls are late with more servers."""
    rng = random.Random(seed)
    calls = sorted((rng.uniform(0.0, 10.0), rng.uniform(0.01, 0.3)) for _ in range(60))
    curve = envelope_of(calls, slack_s).curve(10.0)
    patient = envelope_of(calls, 2 * slack_s).curve(10.0)
    assert curve.need(0.9) <= curve.need(0.99) <= curve.need(1.0)
    assert curve.late(1.0) >= curve.late(2.0) >= curve.late(4.0)
    assert (curve.needs >= patient.needs).all()
    assert curve.late(curve.need(0.9)) <= 0.1 + 1e-9
