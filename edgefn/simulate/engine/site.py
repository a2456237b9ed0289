"""The gateway of a site: has its policy decide, sends calls, and tells the policy what came of it.

It does what the production gateway does: a call whose time is up is given up and taken out of its
queue, the slower of two sendings too; calls that a box took with it go elsewhere if the policy says
so; those for which no replica is up wait for one.
"""

from collections.abc import Callable
from math import inf

from edgefn.routing.decisions import Decision, Rng, Send, Wait
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Failed,
)
from edgefn.simulate.arrival import Arrival
from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight, Visit, detach, forwarded, take_apart
from edgefn.simulate.engine.causes import COLD, LOST, REFUSED, cause_of, refusal_cause_of
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.lobby import Lobby
from edgefn.simulate.engine.log import REFUSED as LOG_REFUSED
from edgefn.simulate.engine.log import WAITS as LOG_WAITS
from edgefn.simulate.engine.patience import Patience
from edgefn.simulate.engine.peer import Peer, Reply
from edgefn.simulate.engine.replica import Refusal, Replica, Run
from edgefn.simulate.engine.second_chances import Retrying, Wakes
from edgefn.simulate.engine.serving import Serving
from edgefn.simulate.engine.tally import Tally
from edgefn.simulate.engine.target import Target
from edgefn.simulate.fleet import Site as SitePlace
from edgefn.simulate.policy import Policy


class Site:
    """One site.

    Attributes:
        name: Unique.
        policy: That decides.
        peers: Other sites that it can call, by name.
        targets: What it can send to, by the name of the endpoint.
        half_trip_s: From it to its own boxes.
        serving: Its own replicas that are up.
        callers: Those whose peer it is.
        luck: Standard normal, for messages that belong to no call.
        wakes: None: replicas are never started.
    """

    policy: Policy

    def __init__(
        self,
        place: SitePlace,
        functions: list[Function],
        agenda: Agenda,
        tally: Tally,
        *,
        rng: Rng,
        luck: Callable[[], float],
        cancels_overdue: bool,
    ) -> None:
        self.place = place
        self.index = place.index
        self.name = place.name
        self.tier = place.model.tier
        self.devices: list[Device] = []
        self.peers: dict[str, Peer] = {}
        self.callers: list[Peer] = []
        self.targets: dict[str, Target] = {}
        self.serving = Serving(self.callers)
        self.luck = luck
        self.wakes: Wakes | None = None
        self._functions = functions
        self._agenda = agenda
        self._tally = tally
        self._log = tally.log.add
        self._after_trip = agenda.after_trip
        self.half_trip_s = agenda.trip_s
        self._rng = rng
        self._cancels_overdue = cancels_overdue
        self._patience = [Patience(agenda, one.deadline_s, self._give_up) for one in functions]
        self._lobby = Lobby()
        self._retries: Retrying | None = None

    def use(self, policy: Policy) -> None:
        """Lets a policy decide from now on."""
        self.policy = policy
        self._decide = policy.decide
        self._observe = policy.observe
        self._retries = policy if isinstance(policy, Retrying) else None

    # What comes in.

    def called(self, arrival: Arrival) -> None:
        """A call comes from outside."""
        now_s, _, number, size_bytes, luck, network_luck = arrival
        function = self._functions[number]
        counts = self._tally.called(now_s, self.index, number)
        limit_s = function.deadline_s
        if limit_s:
            deadline_s = now_s + limit_s
            visit = Visit(function, deadline_s, size_bytes, now_s, luck, network_luck, counts)
            self._patience[number].begin(visit, deadline_s)
        else:
            visit = Visit(function, None, size_bytes, now_s, luck, network_luck, counts)
        decision = self._decide(now_s, visit, self._rng)
        if self.wakes is not None:
            self.wakes.wanted(now_s, visit, decision)
        self._carry_out(now_s, visit, decision)

    def visited(self, now_s: float, flight: Flight) -> None:
        """A call comes from another gateway."""
        flight.target.coming -= 1
        if flight.cancelled:
            return
        flight.arrived_s = now_s
        visit = flight.visited = forwarded(now_s, flight)
        decision = self._decide(now_s, visit, self._rng)
        if self.wakes is not None:
            self.wakes.wanted(now_s, visit, decision)
        self._carry_out(now_s, visit, decision)

    def cancelled(self, now_s: float, flight: Flight) -> None:
        """No one waits any more for a call from another gateway."""
        flight.cancelled = True
        visit = flight.visited
        if visit is not None and not visit.done:
            visit.done = True
            self._abandon(now_s, visit, overdue=False)
            detach(flight)

    # What becomes of it.

    def answered(self, now_s: float, run: Run) -> None:
        """A batch of calls was answered by a replica of this site."""
        calls, run.calls = run.calls, []  # so that they are no cycle
        size, service_s, backlog_s = len(calls), run.service_s, run.backlog_s
        for waiting in calls:
            flight = waiting.item
            visit = flight.visit
            queue_s = run.started_s - waiting.arrived_s
            self._observe(
                now_s,
                Answered(flight.send, queue_s, service_s, backlog_s, size, flight.abandoned),
            )
            flight.over = True
            origin = visit.origin
            if origin is None:
                self._answer(now_s, visit, flight)
            elif not visit.done:
                visit.done = True
                visit.left_s = now_s
                queue_s = now_s - visit.arrived_s - service_s
                self._reply_to(origin).reply(
                    now_s, Reply(origin, queue_s, service_s, backlog_s, size)
                )

    def refused(self, now_s: float, refusal: Refusal) -> None:
        """A replica of this site dropped a call."""
        flight = refusal.flight
        queue_s = now_s - flight.arrived_s - self.half_trip_s
        self._observe(
            now_s, Answered(flight.send, queue_s, 0.0, refusal.backlog_s, 0, flight.abandoned)
        )
        flight.over = True
        self._without(now_s, flight, refusal.backlog_s)

    def heard(self, now_s: float, reply: Reply) -> None:
        """Another gateway told what came of a call."""
        flight = reply.flight
        visit = flight.visit
        if reply.lost:
            self.lost(now_s, flight)
            return
        self._observe(
            now_s,
            Answered(
                flight.send,
                reply.queue_s,
                reply.service_s,
                reply.backlog_s,
                reply.batch,
                flight.abandoned,
            ),
        )
        flight.over = True
        if reply.batch:
            self._answer(now_s, visit, flight)
        else:
            self._without(now_s, flight, reply.backlog_s)
        if visit.done:
            detach(flight)

    def lost(self, now_s: float, flight: Flight) -> None:
        """A call went down with a box."""
        if not flight.over:
            flight.over = True
            self._observe(now_s, Failed(flight.send))
        visit = flight.visit
        if visit.done:
            return
        if self._retries is not None:
            send = self._retries.retry(now_s, visit, flight.send, self._rng)
            if send is not None:
                self._send(now_s, visit, send)
                return
        if all(one.over for one in visit.flights):
            self._miss(now_s, visit, LOST)

    # Replicas.

    def connect(self, now_s: float, replica: Replica) -> None:
        """A replica takes calls from now on."""
        replica.up = True
        self.policy.observe(now_s, Connected(replica.endpoint))
        self.serving.add(now_s, replica)
        for visit in self._lobby.leave(now_s, replica.function):
            self._carry_out(now_s, visit, self._decide(now_s, visit, self._rng))

    def disconnect(self, now_s: float, replica: Replica) -> None:
        """A replica takes no calls any more."""
        if self.serving.remove(now_s, replica):
            self.policy.observe(now_s, Disconnected(replica.endpoint))

    def connect_peers(self, now_s: float) -> None:
        """The links to all peers are up."""
        for name, target in self.targets.items():
            if target.peer is not None:
                self.policy.observe(now_s, Connected(name))

    def waiting(self, function: str, variant: str) -> int:
        """Returns how many calls wait for a replica of a variant."""
        return self._lobby.waiting(function, variant)

    # Decisions.

    def _carry_out(self, now_s: float, visit: Visit, decision: Decision) -> None:
        if isinstance(decision, Send):
            self._send(now_s, visit, decision)
        elif isinstance(decision, Wait):
            self._log(LOG_WAITS)
            self._wait(now_s, visit, decision.variant)
        else:
            self._log(LOG_REFUSED)
            if decision.wake and self.wakes is not None:
                self.wakes.wake(now_s, visit.function, decision.wake)
            self._miss(now_s, visit, COLD if visit.waited_s else REFUSED)

    def _send(self, now_s: float, visit: Visit, send: Send) -> None:
        target = self.targets[send.endpoint]
        self._log(target.number)
        replica, peer = target.replica, target.peer
        # The second sending of a call has luck of its own, but the same one under every policy.
        flight = Flight(visit, send, target, visit.network_luck if visit.flights else visit.luck)
        visit.flights = (*visit.flights, flight)
        target.coming += 1
        if replica is not None:
            if visit.deadline_s is not None:
                flight.deadline_s = visit.deadline_s - self.half_trip_s
            self._after_trip(now_s, replica.arrive, flight)
        elif peer is not None:
            peer.forward(now_s, flight)
        if send.hedge_at_s < inf:
            self._agenda.at(max(now_s, send.hedge_at_s), self._hedge, flight)

    def _hedge(self, now_s: float, first: Flight) -> None:
        visit = first.visit
        if visit.done:
            return
        send = self.policy.hedge(now_s, visit, first.send, self._rng)
        if send is not None:
            self._tally.hedged(visit)
            self._send(now_s, visit, send)

    def _wait(self, now_s: float, visit: Visit, variant: str) -> None:
        self._lobby.enter(now_s, visit, variant)
        if self.wakes is not None:
            self.wakes.wake(now_s, visit.function, variant)
        if visit.origin is not None and visit.deadline_s is not None:
            self._agenda.at(max(now_s, visit.deadline_s), self._stop_waiting, visit)

    def _stop_waiting(self, now_s: float, visit: Visit) -> None:
        if visit.waits_since_s < inf and not visit.done:
            self._miss(now_s, visit, COLD)

    # Ends.

    def _answer(self, now_s: float, visit: Visit, flight: Flight) -> None:
        """Ends a call from outside with an answer."""
        if visit.done:
            if not flight.abandoned:
                self._tally.late(now_s, visit)
            return
        visit.done = True
        if visit.deadline_s is not None and now_s > visit.deadline_s:
            self._tally.missed(now_s, visit, cause_of(now_s, visit))
            self._tally.late(now_s, visit)
        else:
            self._tally.answered(now_s, self.index, visit, flight)
        if len(visit.flights) > 1:
            self._abandon(now_s, visit, overdue=False)
        take_apart(visit)

    def _without(self, now_s: float, flight: Flight, backlog_s: float) -> None:
        """A sending of a call came to nothing; there may be another one."""
        visit = flight.visit
        if not visit.done and all(one.over for one in visit.flights):
            self._miss(now_s, visit, refusal_cause_of(now_s, visit), backlog_s)

    def _miss(self, now_s: float, visit: Visit, cause: str, backlog_s: float = 0.0) -> None:
        """Ends a call without an answer."""
        visit.done = True
        origin = visit.origin
        if origin is None:
            self._tally.missed(now_s, visit, cause)
            take_apart(visit)
            return
        visit.left_s = now_s
        reply = Reply(
            origin,
            queue_s=now_s - visit.arrived_s,
            backlog_s=backlog_s,
            lost=cause == LOST,
        )
        self._reply_to(origin).reply(now_s, reply)

    def _give_up(self, now_s: float, visit: Visit) -> None:
        """Waits no longer for a call whose time is up."""
        visit.done = True
        cause = COLD if visit.waits_since_s < inf else cause_of(now_s, visit)
        self._tally.missed(now_s, visit, cause)
        self._abandon(now_s, visit, overdue=True)
        take_apart(visit)

    def _abandon(self, now_s: float, visit: Visit, *, overdue: bool) -> None:
        """Stops waiting for what a call was sent with and has not come back."""
        for flight in visit.flights:
            if flight.over:
                continue
            flight.over = flight.abandoned = True
            self._observe(now_s, Abandoned(flight.send, overdue))
            if overdue and not self._cancels_overdue:
                continue
            replica, peer = flight.target.replica, flight.target.peer
            if replica is not None:
                self._after_trip(now_s, replica.device.cancel, flight)
            elif peer is not None:
                peer.cancel(now_s, flight)

    @staticmethod
    def _reply_to(origin: Flight) -> Peer:
        peer = origin.target.peer
        assert peer is not None  # a flight to another gateway goes over a link
        return peer
