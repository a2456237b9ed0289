import numpy
import pytest

from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.fifo import FifoQueue
from edgefn.simulate.engine.function import lognormal
from edgefn.simulate.engine.histogram import Histogram
from edgefn.simulate.engine.log import DecisionLog
from edgefn_runtime.queue import NO_DEADLINE, CallQueue


def test_agenda_keeps_the_order_of_equal_times():
    """What is due at the same time is done as it was put down."""
    agenda, done = Agenda(), []
    for name in ("b", "a", "c"):
        agenda.at(1.0, lambda now_s, subject: done.append(subject), name)
    agenda.at(0.5, lambda now_s, subject: done.append(subject), "first")
    agenda.run_until(1.0)
    assert done == ["first", "b", "a", "c"]


def test_agenda_stops_where_it_is_told():
    """What is due later stays."""
    agenda, done = Agenda(), []
    agenda.at(2.0, lambda now_s, subject: done.append(now_s), None)
    agenda.run_until(1.9)
    assert (len(agenda), done) == (1, [])
    agenda.run_next()
    assert done == [2.0]


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_right_within_a_percent(share):
    """The histogram gives quantiles as well as all values would."""
    values = numpy.random.default_rng(1).lognormal(-3.0, 1.0, 20_000)
    histogram = Histogram()
    for value in values.tolist():
        histogram.add(value)
    exact = numpy.quantile(values, share, method="inverted_cdf")
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.0101)


def test_quantile_of_nothing_is_zero():
    """Without values there is nothing to say."""
    assert Histogram().quantile(0.99) == 0.0


def test_noise_has_mean_one_and_the_spread_that_was_asked_for():
    """Noise does not change how long runs take on average."""
    noise = lognormal(0.3)
    values = [noise(luck) for luck in numpy.random.default_rng(2).standard_normal(100_000).tolist()]
    assert numpy.mean(values) == pytest.approx(1.0, rel=0.005)
    assert numpy.std(values) == pytest.approx(0.3, rel=0.02)
    assert lognormal(0.0) is None


def test_log_depends_on_the_order():
    """Two runs have the same digest only if the same happened in the same order."""
    logs = [DecisionLog(), DecisionLog()]
    for log, numbers in zip(logs, ((1.0, 2.0), (2.0, 1.0)), strict=True):
        for number in numbers:
            log.add(number)
    assert logs[0].sha256() != logs[1].sha256()


def test_digest_does_not_depend_on_flushing():
    """What is digested early counts like what is digested at the end."""
    flushed, kept = DecisionLog(), DecisionLog()
    for number in range(100_000):
        flushed.add(float(number))
        flushed.flush()
        kept.add(float(number))
    assert flushed.sha256() == kept.sha256()


def test_fifo_takes_full_batches_in_order_and_skips_cancelled_calls():
    """Deadlines mean nothing to it."""
    queue = FifoQueue(max_batch=2)
    calls = [queue.push(name, deadline_s=0.0, now_s=float(at)) for at, name in enumerate("abcd")]
    assert queue.cancel(calls[0])
    assert not queue.cancel(calls[0])
    assert queue.urgency_s() == 1.0
    batch = queue.take(100.0)
    assert [waiting.item for waiting in batch.run] == ["b", "c"]
    assert batch.dropped == []
    assert len(queue) == 1


def test_urgency_is_the_deadline_of_the_head():
    """A device with several queues takes from the one whose head is due first."""
    queue = CallQueue(limit=10)
    assert queue.urgency_s() == NO_DEADLINE
    late = queue.push("late", deadline_s=9.0, now_s=0.0)
    soon = queue.push("soon", deadline_s=5.0, now_s=0.0)
    assert queue.urgency_s() == 5.0
    queue.cancel(soon)
    assert queue.urgency_s() == 9.0
    queue.cancel(late)
    assert queue.urgency_s() == NO_DEADLINE


def test_agenda_merges_trips_with_the_rest():
    """Trips and other events take place in one order, by time and then as they were put down."""
    agenda, done = Agenda(trip_s=1.0), []

    def note(now_s, subject):
        done.append((now_s, subject))

    agenda.at(2.0, note, "before")
    agenda.after_trip(1.0, note, "trip")
    agenda.at(2.0, note, "after")
    agenda.at(1.5, note, "first")
    agenda.after_trip(1.5, note, "last")
    agenda.run_until(2.0)
    assert [subject for _, subject in done] == ["first", "before", "trip", "after"]
    assert (len(agenda), agenda.events) == (1, 5)
    agenda.run_next()
    assert done[-1] == (2.5, "last")
