"""Calls whose time is up, calls that wait for a replica, and what is left of calls."""

import pytest

from edgefn.routing.decisions import Send
from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight, Visit, detach, take_apart
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.lobby import Lobby
from edgefn.simulate.engine.patience import GIVE_UP_S, Patience
from edgefn.simulate.engine.target import target
from edgefn.simulate.scenario import FunctionModel, VariantModel

EYE = Function(
    0, FunctionModel(name="eye", deadline_s=0.1, variants=(VariantModel(name="only", each_s=0.01),))
)


def visit(arrived_s=0.0, origin=None):
    return Visit(EYE, arrived_s + 0.1, 1000, arrived_s, 0.0, 0.0, None, origin=origin)


def test_patience_ends_with_the_deadline_of_each_call_that_is_not_done():
    """Calls that are answered are left alone, the others given up in turn."""
    agenda, ended = Agenda(), []
    patience = Patience(agenda, EYE.deadline_s, lambda now_s, call: ended.append((now_s, call)))
    calls = [visit(at_s) for at_s in (0.0, 0.02, 0.04)]
    for call in calls:
        patience.begin(call, call.deadline_s)
    calls[1].done = True
    agenda.run_until(0.09)
    assert ended == []
    agenda.run_until(1.0)
    assert [call for _, call in ended] == [calls[0], calls[2]]
    assert [at_s for at_s, _ in ended] == pytest.approx([0.1 + GIVE_UP_S, 0.14 + GIVE_UP_S])


def test_patience_begins_anew_after_a_pause():
    """With the last call the event goes, with the next one it comes back."""
    agenda, ended = Agenda(), []
    patience = Patience(agenda, EYE.deadline_s, lambda now_s, call: ended.append(call))
    for at_s in (0.0, 5.0):
        call = visit(at_s)
        patience.begin(call, call.deadline_s)
        agenda.run_until(at_s + 1.0)
        assert (ended[-1], len(agenda)) == (call, 0)


def test_calls_leave_the_lobby_with_the_time_they_waited():
    """Those that are given up meanwhile do not leave, and are not counted."""
    lobby, calls = Lobby(), [visit(), visit(), visit()]
    for call, variant in zip(calls, ("small", "small", "large"), strict=True):
        lobby.enter(1.0, call, variant)
    calls[1].done = True
    assert (lobby.waiting("eye", "small"), lobby.waiting("eye", "large")) == (1, 1)
    assert list(lobby.leave(3.0, "eye")) == [calls[0], calls[2]]
    assert [call.waited_s for call in calls] == [2.0, 0.0, 2.0]
    assert lobby.waiting("eye", "small") == 0
    assert list(lobby.leave(4.0, "eye")) == []


def test_a_decided_call_is_no_cycle():
    """Nothing that a call leads to leads back to it once it is decided, here and at a peer."""
    outer = visit()
    there = target(1, "eye", EYE.model.variants[0], "edge")
    flight = Flight(outer, Send(), there, 0.0)
    outer.flights = (flight,)
    inner = flight.visited = visit(origin=flight)
    inner.flights = (Flight(inner, Send(), there, 0.0),)
    take_apart(outer)
    assert outer.flights == ()
    assert flight.visited is inner  # it is still there: a cancellation may have to find it
    inner.done = True
    detach(flight)
    assert flight.visited is None
    assert inner.flights == ()
