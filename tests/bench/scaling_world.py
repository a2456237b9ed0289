"""The closed loop of `scaling.py`: calls, replicas, and a rule that says how many there are."""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple, Protocol

from edgefn.scaling.demand import Demand
from edgefn_runtime.queue import CallQueue

SERVICE_S: Final = 0.2
SERVICE_CV: Final = 0.1
DEADLINE_S: Final = 3 * SERVICE_S
RATE_PER_S: Final = 25.0
SWING: Final = 0.45
TICK_S: Final = 0.25  # as the production loop looks at its demand
WARM_UP_S: Final = 60.0


class Arrival(NamedTuple):
    """A call: when it comes, and how long it runs."""

    at_s: float
    run_s: float


class Load(NamedTuple):
    """What a rule sees at a tick."""

    now_s: float
    replicas: int
    ready: int
    under_way: float
    demand: Demand
    calls: int


class Rule(Protocol):
    """Says how many replicas there should be, booting ones included."""

    def desired(self, load: Load) -> int: ...


@cache
def arrivals(seed: int, cv: float, duration_s: float) -> tuple[Arrival, ...]:
    """Returns the calls of a run, which all rules see."""
    return tuple(_arrivals(seed, cv, duration_s))


def _arrivals(seed: int, cv: float, duration_s: float) -> Iterator[Arrival]:
    """Gamma renewals, stretched so that the rate follows the day and the bursts."""
    rng = random.Random(f"scaling {seed} {cv}")
    sigma = math.sqrt(math.log(1 + SERVICE_CV**2))
    bursts = list(_bursts(rng, duration_s))
    due, done, now_s, step_s = 0.0, 0.0, 0.0, 0.05
    shape = 1.0 / cv**2
    due = rng.gammavariate(shape, 1.0 / shape)
    while now_s < duration_s:
        day = 1.0 + SWING * math.sin(2 * math.pi * now_s / duration_s)
        burst = next((up for start_s, end_s, up in bursts if start_s <= now_s < end_s), 1.0)
        rate = RATE_PER_S * day * burst
        reached = done + rate * step_s
        while due <= reached:
            at_s = now_s + (due - done) / rate
            yield Arrival(at_s, SERVICE_S * math.exp(rng.gauss(-(sigma**2) / 2, sigma)))
            due += rng.gammavariate(shape, 1.0 / shape)
        done = reached
        now_s += step_s


def _bursts(rng: random.Random, duration_s: float) -> Iterator[tuple[float, float, float]]:
    now_s = 0.0
    while now_s < duration_s:
        now_s += rng.uniform(60.0, 300.0)
        end_s = now_s + rng.uniform(10.0, 40.0)
        yield now_s, end_s, rng.uniform(1.5, 3.0)
        now_s = end_s


class Replica:
    """One that boots, or takes calls."""

    def __init__(self, ready_s: float) -> None:
        self.ready_s = ready_s
        self.queue: CallQueue[Arrival] = CallQueue(limit=10_000)
        self.busy_until_s = 0.0
        self.waiting_s = 0.0  # work in the queue
        self.is_busy = False


class World:
    """One run of one rule."""

    def __init__(self, rule: Rule, boot_s: float) -> None:
        self._rule = rule
        self._boot_s = boot_s
        self._replicas = [Replica(0.0)]
        self._draining: set[Replica] = set()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._sequence = 0
        self._demand = Demand()
        self._held = 0
        self._area = 0.0  # of calls under way over time
        self._area_s = 0.0
        self.calls = self.on_time = self.answered = 0
        self.replica_s = 0.0

    def at(self, at_s: float, do: Callable[[float], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at_s, self._sequence, do))

    def run(self, calls: Iterator[Arrival], duration_s: float) -> None:
        """Runs through all calls."""
        call = next(calls, None)
        self.at(TICK_S, self._tick)
        while self._events[0][0] <= duration_s:
            if call is not None and call.at_s <= self._events[0][0]:
                self._arrive(call)
                call = next(calls, None)
                continue
            now_s, _, do = heapq.heappop(self._events)
            do(now_s)

    def _arrive(self, call: Arrival) -> None:
        now_s = call.at_s
        self._count(now_s, 1)
        self.calls += now_s >= WARM_UP_S
        self._demand.want(now_s, SERVICE_S, DEADLINE_S - SERVICE_S)
        replica = min(
            (one for one in self._replicas if one.ready_s <= now_s),
            key=lambda one: max(one.busy_until_s, now_s) + one.waiting_s,
        )
        replica.queue.push(call, deadline_s=now_s + DEADLINE_S, now_s=now_s)
        replica.waiting_s += SERVICE_S
        if not replica.is_busy:
            self._start(replica, now_s)

    def _start(self, replica: Replica, now_s: float) -> None:
        batch = replica.queue.take(now_s)
        for _ in (*batch.dropped, *batch.run):
            replica.waiting_s -= SERVICE_S
        for _ in batch.dropped:
            self._count(now_s, -1)
        replica.is_busy = bool(batch.run)
        if batch.run:
            call = batch.run[0].item
            replica.busy_until_s = now_s + SERVICE_S  # as far as the router knows
            self.at(now_s + call.run_s, lambda end_s: self._end(replica, call, end_s))
        elif replica in self._draining:
            self._draining.discard(replica)

    def _end(self, replica: Replica, call: Arrival, now_s: float) -> None:
        replica.queue.observe(1, started_s=now_s - call.run_s, ended_s=now_s)
        self._count(now_s, -1)
        self.answered += 1
        if call.at_s >= WARM_UP_S and now_s <= call.at_s + DEADLINE_S:
            self.on_time += 1
        self._start(replica, now_s)

    def _count(self, now_s: float, more: int) -> None:
        self._area += self._held * (now_s - self._area_s)
        self._area_s = now_s
        self._held += more

    def _tick(self, now_s: float) -> None:
        self._count(now_s, 0)
        under_way, self._area = self._area / TICK_S, 0.0
        count = len(self._replicas)
        ready = sum(one.ready_s <= now_s for one in self._replicas)
        if now_s > WARM_UP_S:
            self.replica_s += (count + len(self._draining)) * TICK_S
        load = Load(now_s, count, ready, under_way, self._demand, self.answered)
        desired = max(self._rule.desired(load), 1)
        self._replicas += [Replica(now_s + self._boot_s) for _ in range(desired - count)]
        while len(self._replicas) > desired:
            self._give_up(now_s)
        self.at(now_s + TICK_S, self._tick)

    def _give_up(self, now_s: float) -> None:
        """Drains the one that boots, or else has least to do; one that takes calls stays."""
        ready = [one for one in self._replicas if one.ready_s <= now_s]
        booting = [one for one in self._replicas if one.ready_s > now_s]
        one = booting[-1] if booting else min(ready, key=lambda one: one.waiting_s + one.is_busy)
        self._replicas.remove(one)
        if one.is_busy:
            self._draining.add(one)
