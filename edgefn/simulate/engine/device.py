"""A box in virtual time: replicas with a queue each, which take turns on its cores.

A free core takes from the replica whose most urgent call is the most urgent of the box. The queues
are the production ones, which know only what runs told them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight
from edgefn.simulate.engine.replica import Refusal, Replica, Run
from edgefn.simulate.fleet import Box
from edgefn_runtime.errors import QueueFull
from edgefn_runtime.queue import Waiting

if TYPE_CHECKING:
    from edgefn.simulate.engine.tally import Tally


class Gateway(Protocol):
    """Who hears what came of calls, after their way back."""

    def answered(self, now_s: float, run: Run) -> None:
        """A batch ran."""

    def refused(self, now_s: float, refusal: Refusal) -> None:
        """A call was dropped."""

    def lost(self, now_s: float, flight: Flight) -> None:
        """A box died with a call."""


class Device:
    """One box.

    Attributes:
        box: As the scenario has it.
        replicas: That it holds.
        up: Whether it is there at all.
        speed: Undisturbed.
        busy_s: Core seconds of all runs that were begun after the warm-up.
        runs: Going on now.
    """

    __slots__ = (
        "_after_trip",
        "_agenda",
        "_answered",
        "_cores",
        "_ready",
        "_speed_at",
        "_tally",
        "box",
        "busy_s",
        "gateway",
        "replicas",
        "runs",
        "speed",
        "up",
    )

    def __init__(
        self,
        box: Box,
        agenda: Agenda,
        tally: "Tally",
        *,
        gateway: Gateway,
        speed_at: Callable[[float], float] | None = None,
    ) -> None:
        self.box = box
        self.gateway = gateway
        self._answered = gateway.answered
        self._agenda = agenda
        self._tally = tally
        self._after_trip = agenda.after_trip
        self._speed_at = speed_at
        self._cores = box.model.cores
        self.speed = box.model.speed
        self.replicas: list[Replica] = []
        self.up = True
        self.busy_s = 0.0
        self.runs: list[Run] = []
        self._ready: list[Replica] = []

    def arrive(self, now_s: float, flight: Flight) -> None:
        """A call gets to one of the replicas."""
        replica = flight.target.replica
        assert replica is not None  # else it is no call for a box
        flight.target.coming -= 1
        flight.arrived_s = now_s
        if not self.up or not replica.up:
            self._after_trip(now_s, self.gateway.lost, flight)
            return
        try:
            flight.waiting = replica.queue.push(flight, deadline_s=flight.deadline_s, now_s=now_s)
        except QueueFull:
            self._refuse(now_s, flight)
            return
        replica.queued += 1
        if not replica.listed and replica.running < replica.lanes:
            replica.listed = True
            self._ready.append(replica)
        if len(self.runs) < self._cores:
            self._serve(now_s)

    def cancel(self, now_s: float, flight: Flight) -> None:
        """No one waits for a call any more; if it runs already, it runs on."""
        replica = flight.target.replica
        if replica is not None and flight.waiting is not None:
            replica.queued -= replica.queue.cancel(flight.waiting)

    def backlog_s(self) -> float:
        """Returns how long all that waits here is expected to take, as its queues believe."""
        waits_s = 0.0
        for replica in self._ready if self._cores == 1 else self.replicas:
            waits_s += replica.queue.backlog_s()
        return waits_s / self._cores

    def speed_at(self, now_s: float) -> float:
        """Returns at which speed it runs now; 0 while it is down."""
        if not self.up:
            return 0.0
        return self.speed if self._speed_at is None else self.speed * self._speed_at(now_s)

    def crash(self, now_s: float) -> list[Flight]:
        """Loses all calls; returns them."""
        self.up = False
        lost = [waiting.item for run in self.runs for waiting in run.calls]
        for run in self.runs:
            run.lost = True
            run.replica.running = 0
        self.runs.clear()
        self._ready.clear()
        for replica in self.replicas:
            replica.up = replica.listed = False
            replica.queued = 0
            while len(replica.queue):
                batch = replica.queue.take(now_s)
                lost += [waiting.item for waiting in (*batch.run, *batch.dropped)]
        return lost

    def _serve(self, now_s: float) -> None:
        """Gives free cores something to do."""
        ready = self._ready
        while ready and len(self.runs) < self._cores:
            replica = ready[0]
            if len(ready) > 1:
                least_s = replica.queue.urgency_s()
                for one in ready:
                    urgency_s = one.queue.urgency_s()
                    if urgency_s < least_s:
                        replica, least_s = one, urgency_s
            batch = replica.queue.take(now_s)
            dropped = batch.dropped
            replica.queued -= len(batch.run) + len(dropped)
            if batch.run:
                self._start(now_s, replica, batch.run)
            if replica.running >= replica.lanes or not replica.queued:
                replica.listed = False
                ready.remove(replica)
            for waiting in dropped:
                self._refuse(now_s, waiting.item)

    def _start(self, now_s: float, replica: Replica, calls: list[Waiting[Flight]]) -> None:
        size = len(calls)
        speed = self.speed if self._speed_at is None else self.speed * self._speed_at(now_s)
        service_s = (replica.fixed_s + size * replica.each_s) / speed
        if replica.noise is not None:
            service_s *= replica.noise(calls[0].item.luck)
        run = Run(replica, calls, now_s, service_s)
        for waiting in calls:
            flight = waiting.item
            flight.run = run
            flight.waiting = None
        replica.running += 1
        self.runs.append(run)
        self._tally.ran(now_s, self, run)
        self._agenda.at(now_s + service_s, self._ended, run)

    def _ended(self, now_s: float, run: Run) -> None:
        if run.lost:
            return
        replica = run.replica
        queue = replica.queue
        self.runs.remove(run)
        replica.running -= 1
        replica.answered += len(run.calls)
        queue.observe(len(run.calls), started_s=run.started_s, ended_s=now_s)
        if replica.queued and not replica.listed:
            replica.listed = True
            self._ready.append(replica)
        if self._ready:
            run.backlog_s = self.backlog_s()
            self._serve(now_s)
        self._after_trip(now_s, self._answered, run)

    def _refuse(self, now_s: float, flight: Flight) -> None:
        flight.dropped_s = now_s
        flight.waiting = None
        refusal = Refusal(flight, self.backlog_s())
        self._after_trip(now_s, self.gateway.refused, refusal)
