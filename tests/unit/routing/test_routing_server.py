"""What is known of servers, of run times, and of how far to trust either."""

import random

import pytest

from edgefn.routing.calibration import MISSES, Calibration, chance_of
from edgefn.routing.decisions import Send
from edgefn.routing.price import Pool
from edgefn.routing.server import Server
from edgefn.routing.service import Service
from edgefn.routing.tokens import Tokens


def _sent(at_s, work_s):
    send = Send()
    send.ledger, send.sent_s, send.work_s = True, at_s, work_s
    return send


def _server(**changes):
    return Server("s", 0.0, **{"parallel": 1, "max_batch": 1, **changes})


def test_each_call_moves_the_end_of_the_work_on():
    """A server that is idle begins at once, one that is busy after the rest."""
    server = _server()
    for at_s in (1.0, 1.0, 1.05):
        server.sent(at_s, _sent(at_s, 0.1))
    assert server.free_s == pytest.approx(1.3)
    many = _server(parallel=4)
    many.sent(1.0, _sent(1.0, 0.1))
    assert many.free_s == pytest.approx(1.025)


def test_a_report_counts_from_when_it_was_written():
    """With what was sent after that, or had not arrived there by then."""
    server = _server()
    early, late = _sent(1.0, 0.1), _sent(1.95, 0.1)
    for flight in (early, late):
        server.sent(flight.sent_s, flight)
    server.reported(2.0, 0.5, 0.1, here=False)
    assert server.free_s == pytest.approx(1.9 + 0.5 + 0.1)


def test_of_what_runs_here_the_own_books_know():
    """A backlog says nothing of the calls that run."""
    server = _server()
    server.sent(1.0, _sent(1.0, 0.3))
    server.reported(1.1, 0.0, 0.001, here=True)
    assert server.free_s == pytest.approx(1.4, abs=0.01)


def test_a_server_that_owes_answers_is_late():
    """By the time since it should have been done; one that owes none is not."""
    server = _server()
    server.sent(1.0, _sent(1.0, 0.1))
    assert server.late_s(1.05) == 0.0
    assert server.late_s(1.3) == pytest.approx(0.2)
    server.resolved(0.1)
    assert (server.late_s(1.3), server.own_s) == (0.0, 0.0)


def test_slowness_comes_at_once_and_goes_slowly():
    """A jump is believed, a small excess averaged, and without news it fades to what is usual."""
    server = _server()
    for _ in range(50):
        server.ran(1.0, 1.0, 1)
    server.ran(1.0, 3.0, 1)
    assert server.slowness == 3.0
    server.ran(1.0, 2.0, 1)
    assert server.slowness == pytest.approx(2.9)
    server.fade(5.0, 1.0)
    assert server.slowness < 1.6
    server.ran(5.0, 0.5, 1)
    assert server.slowness == 0.5


def test_a_profile_is_corrected_slowly_and_hope_without_one_rises_fast():
    """One sample weighs a twentieth against a profile."""
    known = Service(0.01, 0.0, 0.1)
    known.learn(0.02, 1)
    assert known.fixed_s == pytest.approx(0.01 * (1 + 1 / 21))
    unknown = Service(0.0, 0.0, 0.1)
    unknown.learn(0.4, 4)
    assert unknown.each_s == pytest.approx(0.1)
    unknown.learn(0.01, 1)
    assert unknown.each_s == pytest.approx(0.055)
    unknown.learn(100.0, 1)
    assert unknown.each_s < 0.1


def test_the_bound_is_exceeded_as_often_as_wanted():
    """Whatever the distribution is."""
    rng = random.Random(1)
    calibration = Calibration(0.0)
    misses = 0
    for number in range(40_000):
        missed = rng.expovariate(1.0) > 1.0 + calibration.z  # mean and deviation 1
        misses += missed and number > 5_000
        calibration.learn(number * 0.01, missed)
    assert misses / 35_000 == pytest.approx(MISSES, rel=0.2)


def test_a_chance_is_that_of_a_normal_variable():
    """Half at the mean, and certain or none far off."""
    assert chance_of(0.0, 1.0) == pytest.approx(0.5)
    assert chance_of(1.645, 1.0) == pytest.approx(0.95, abs=0.001)
    assert chance_of(5.0, 1.0) == 1.0
    assert chance_of(float("-inf"), 1.0) == 0.0


def test_a_pool_has_a_price_while_it_is_asked_too_much():
    """Which falls again when it is not."""
    pool = Pool()
    pool.servers = 2
    for _ in range(10):
        pool.sent(0.3)
        pool.tick(0.1)
    assert pool.price > 0.0
    assert pool.utilisation > 1.0
    for _ in range(40):
        pool.tick(0.1)
    assert pool.price == 0.0


def test_tokens_are_earned_by_calls():
    """A bucket is never below nothing."""
    tokens = Tokens(0.25)
    assert sum(tokens.take(0) for _ in range(100)) == 10
    assert sum(tokens.take(8) for _ in range(100)) == 2
    assert tokens.take(1000) and tokens.left == 9.0


def test_what_overtakes_a_queue_does_not_wait_for_all_of_it(site_of):
    """How much of what is queued a function's calls wait for is learned from what they waited."""
    site = site_of("a", each_s=0.01)
    for _ in range(60):
        sends = [site.send(within_s=1.0) for _ in range(5)]
        for number, send in enumerate(sends):
            site.now_s += 0.01
            site.answer(send, 0.01, queue_s=0.005 * number)
    for _ in range(4):
        send = site.send(within_s=1.0)
    assert send.wait_s == pytest.approx(0.5 * send.queued_s, rel=0.15)
