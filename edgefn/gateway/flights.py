"""The flights of calls: sent, answered, lost, doubled or given up; one reply of a call counts.

A call has one flight, or two while it is hedged (Dean and Barroso, "The Tail at Scale", 2013) or
while a better variant is asked about a doubtful answer. The first good answer wins, and the other
flight is abandoned. Which endpoint is asked, and whether at all, is the router's to say.
"""

import random
import time
from collections.abc import Mapping, MutableMapping
from typing import Final, Protocol

from edgefn.errors import EdgefnError, ProtocolError
from edgefn.gateway.alarms import TICK_S, Alarms
from edgefn.gateway.call import PendingCall
from edgefn.gateway.flight import Carrier, Flight
from edgefn.routing.decisions import Send
from edgefn.routing.events import Abandoned, Answered, Failed
from edgefn.routing.router import Router
from edgefn_runtime.wire import Outcome, Reply

SETTLE_S: Final = 0.002 + TICK_S  # before the deadline: for the loop to come round, and to write


class FlightOwner(Protocol):
    """Who is told of sendings, and sends again what never left."""

    @property
    def carriers(self) -> Mapping[str, Carrier]:
        """By endpoint."""

    @property
    def silent(self) -> MutableMapping[Carrier, int]:
        """Of carriers over which nothing was answered since then: calls that were overdue."""

    def sent_again(self, call: PendingCall, send: Send) -> None:
        """A call is on its way once more."""

    def overdue(self, flight: Flight) -> None:
        """It was not answered in time; its carrier still has it."""

    def submit_again(self, call: PendingCall) -> None:
        """A call did not leave: let it be decided anew."""

    def await_replacement(self, call: PendingCall, error: EdgefnError) -> None:
        """A call that may run twice was lost: let it wait for another replica, or fail it."""


class Flights:
    """Sends calls and settles what is answered (`flight.Control`).

    Args:
        router: Decides on second flights, and is told what became of all.
        alarms: Of all calls.
        owner: Told of sendings.
    """

    def __init__(self, router: Router, alarms: Alarms, owner: FlightOwner) -> None:
        self._router = router
        self._alarms = alarms
        self._owner = owner

    def start(self, now_s: float, call: PendingCall, send: Send) -> None:
        """Sends a call.

        Raises:
            ProtocolError: It does not fit a frame.
        """
        carrier = self._owner.carriers[send.endpoint]
        flight = Flight(call, send, carrier)
        try:
            carrier.send(flight, now_s)
        except ProtocolError:
            self._router.observe(now_s, Abandoned(send, False))
            raise
        call.flights.append(flight)
        call.send = send
        if call.span is not None:
            call.span.sent(now_s, send)
        if send.hedge_at_s < call.give_up_s or call.tick:
            self._set_alarm(call, send.hedge_at_s - TICK_S)  # rather early than late
        else:
            call.alarm_s = call.give_up_s

    def ring(self, now_s: float, call: PendingCall) -> None:
        """Does what was to be done at an alarm before the call is given up."""
        if call.fallback is not None:
            self._settle(now_s, call, *call.fallback)
            return
        self._set_alarm(call, call.give_up_s)
        if len(call.flights) == 1:
            self._second(self._router.hedge(now_s, call, call.flights[0].send, random.random), call)

    def end(self, now_s: float, call: PendingCall, *, overdue: bool) -> None:
        """Abandons all flights of a call.

        Args:
            now_s: Monotonic.
            call: That no flight will answer any more.
            overdue: Whether its time is up; else its caller left, or it is answered.
        """
        flights, call.flights = call.flights, []
        call.body = b""  # late answers keep the call, but need not keep this
        for flight in flights:
            if overdue:
                self._owner.overdue(flight)
            flight.abandoned = True
            flight.carrier.forget(flight)
            self._router.observe(now_s, Abandoned(flight.send, overdue))

    # What carriers tell (`flight.Control`).

    def replied(self, flight: Flight, reply: Reply) -> None:
        """Answers the call, unless a better reply may still come."""
        now_s = time.monotonic()
        self._router.observe(
            now_s,
            Answered(
                flight.send,
                reply.queue_us * 1e-6,
                reply.service_us * 1e-6,
                reply.backlog_us * 1e-6,
                reply.batch,
                flight.abandoned,
            ),
        )
        if self._owner.silent:
            self._owner.silent.pop(flight.carrier, None)
        if flight.abandoned:
            return
        call = flight.call
        call.flights.remove(flight)
        if call.answered.done():
            return
        if reply.outcome == Outcome.RESULT:
            if reply.confidence < call.escalate_at and self._escalated(now_s, flight, reply):
                return
        elif self._tried_elsewhere(now_s, flight, reply):
            return
        self._settle(now_s, call, flight.send, reply)

    def lost(self, flight: Flight, error: EdgefnError, *, unsent: bool) -> None:
        """Sends the call elsewhere if it may run twice, or cannot have run."""
        now_s = time.monotonic()
        if flight.abandoned:
            return
        self._router.observe(now_s, Failed(flight.send))
        call = flight.call
        call.flights.remove(flight)
        if call.answered.done() or call.flights:
            return
        if call.fallback is not None:
            self._settle(now_s, call, *call.fallback)
        elif unsent:
            self._owner.submit_again(call)
        elif not call.idempotent:
            call.fail(error)
        elif not self._retried(now_s, flight):
            self._owner.await_replacement(call, error)

    def _settle(self, now_s: float, call: PendingCall, send: Send, reply: Reply) -> None:
        call.send = send
        if call.span is not None:
            call.span.replied(reply)
        if call.flights:
            self.end(now_s, call, overdue=False)
        call.answered.set_result(reply)

    def _escalated(self, now_s: float, flight: Flight, reply: Reply) -> bool:
        """Keeps a doubtful answer while a better variant is asked; returns False if none is."""
        call, send = flight.call, flight.send
        if send.purpose == "escalation":
            return False  # doubtful as well, but no variant knows better
        if call.fallback is None or call.fallback[1].outcome != Outcome.RESULT:
            call.fallback = (send, reply)
            self._second(self._router.escalate(now_s, call, send, random.random), call)
        if call.flights and call.deadline_s is not None:
            self._set_alarm(call, call.deadline_s - SETTLE_S)
        return bool(call.flights)

    def _tried_elsewhere(self, now_s: float, flight: Flight, reply: Reply) -> bool:
        """Returns whether another flight may bring what this one did not: a result."""
        call = flight.call
        if call.flights:
            call.fallback = call.fallback or (flight.send, reply)
            return True
        if call.fallback is not None:
            self._settle(now_s, call, *call.fallback)
            return True
        return reply.batch == 0 and self._retried(now_s, flight)

    def _retried(self, now_s: float, flight: Flight) -> bool:
        call = flight.call
        return self._second(self._router.retry(now_s, call, flight.send, random.random), call)

    def _second(self, send: Send | None, call: PendingCall) -> bool:
        """Sends a call once more; returns whether it did."""
        if send is None:
            return False
        try:
            self.start(send.sent_s, call, send)
        except ProtocolError:
            return False
        self._owner.sent_again(call, send)
        return True

    def _set_alarm(self, call: PendingCall, at_s: float) -> None:
        call.alarm_s = min(at_s, call.give_up_s)
        if call.tick:
            self._alarms.watch(call)
