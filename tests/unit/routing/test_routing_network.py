"""What is learned of the network to a place."""

from math import inf

import pytest

from edgefn.routing.decisions import Send
from edgefn.routing.network import DOWN_PROBES, DOWN_S, FORGIVEN_S, Path
from edgefn.routing.table import Place


@pytest.fixture
def path():
    """A path that takes 20 ms, and 1 us a byte."""
    one = Path(Place(name="cloud", tier="cloud"), 0.0)
    for number in range(60):
        size = 64 if number % 2 else 32_000
        one.learn(number * 0.1, 0.02 + size * 1e-6, size)
    return one


def _sent(at_s, bound_s):
    send = Send()
    send.ledger, send.sent_s, send.bound_s = True, at_s, bound_s
    return send


def test_the_fixed_part_and_that_of_each_byte_are_told_apart(path):
    """From messages of two sizes."""
    assert path.fixed_s == pytest.approx(0.02, rel=0.01)
    assert path.each_s == pytest.approx(1e-6, rel=0.01)
    assert path.variance < 1e-5


def test_two_far_off_samples_are_a_change_and_one_is_not(path):
    """A spike moves little; the second one in a row is believed."""
    path.learn(6.0, 0.1, 64)
    assert path.fixed_s < 0.03
    path.learn(6.1, 0.1, 64)
    assert path.fixed_s > 0.05
    for number in range(4):
        path.learn(6.2 + number / 4, 0.02, 64)
    assert path.fixed_s < 0.04


def test_a_message_that_was_stuck_says_little(path):
    """One that comes out of an outage after seconds does not count for seconds."""
    path.learn(6.0, 5.0, 64)
    assert path.fixed_s < 0.04


def test_an_overdue_call_is_evidence_until_something_comes_back(path):
    """By as much as it is late; what is not overdue says nothing."""
    path.sent(_sent(6.0, 0.05))
    path.look(6.04)
    assert path.base_s == path.fixed_s
    path.look(6.25)
    assert path.base_s == pytest.approx(0.02 + 0.2 + 0.02, rel=0.01)
    assert path.variance > 0.005
    path.heard(6.26)
    assert path.base_s == path.fixed_s


def test_a_lost_call_is_evidence_for_a_while(path):
    """A path that is not probed is tried again some time."""
    path.lost(_sent(6.0, 0.05))
    path.look(6.55)
    assert path.base_s > 0.5
    path.look(6.1 + FORGIVEN_S)
    assert path.base_s == path.fixed_s


def test_unanswered_probes_mean_that_a_path_is_down(path):
    """After a second, or three of them; the first answer ends it."""
    path.probe_sent(6.0)
    path.look(6.0 + DOWN_S + 0.01)
    assert path.down and path.base_s == inf
    path.heard(8.0)
    assert not path.down
    for _ in range(DOWN_PROBES + 1):
        path.probe_sent(8.0)
    path.look(8.1)
    assert path.down
