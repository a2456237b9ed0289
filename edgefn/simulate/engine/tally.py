"""Counts what comes of the calls of a run; those of the warm-up only keep the others company."""

from math import ceil
from typing import Any

from edgefn.simulate.engine.call import Flight, Visit
from edgefn.simulate.engine.causes import CAUSES
from edgefn.simulate.engine.counts import Counts
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.histogram import Histogram
from edgefn.simulate.engine.log import MISSED, DecisionLog
from edgefn.simulate.engine.replica import Run
from edgefn.simulate.scenario import Scenario


class Tally:
    """All counters of a run.

    Attributes:
        log: Of decisions and outcomes.
        open: Calls of which it is not decided yet what became of them.
        hedges: Calls that were sent twice.
    """

    def __init__(self, scenario: Scenario, sites: int) -> None:
        self.log = DecisionLog()
        self._log = self.log.add
        self.open = 0
        self.hedges = 0
        self._warm_up_s = scenario.warm_up_s
        self._until_s = scenario.duration_s
        length = max(1, ceil(scenario.duration_s - scenario.warm_up_s))
        self.seconds = [Counts() for _ in range(length)]
        self._functions = len(scenario.functions)
        self.calls = [0] * (self._functions * sites)  # by site and function
        self.on_time = [0] * (self._functions * sites)
        self.variants: dict[str, int] = {}
        self.latencies = Histogram()
        self.floor_violations = 0
        self.energy_j = 0.0

    def called(self, now_s: float, site: int, function: int) -> Counts | None:
        """A call came in; returns where it is counted."""
        self.open += 1
        since_s = now_s - self._warm_up_s
        if since_s < 0.0:
            return None
        self.calls[site * self._functions + function] += 1
        counts = self._at(since_s)
        counts.calls += 1
        return counts

    def answered(self, now_s: float, site: int, visit: Visit, flight: Flight) -> None:
        """A call was answered in time."""
        self.open -= 1
        self._log(now_s)
        counts = visit.counts
        if counts is None:
            return
        self.latencies.add(now_s - visit.arrived_s)
        function = visit.of
        target = flight.target
        accuracy = target.accuracy
        counts.on_time += 1
        counts.accuracy += accuracy
        self.on_time[site * self._functions + function.index] += 1
        label = target.label
        self.variants[label] = self.variants.get(label, 0) + 1
        if accuracy < function.min_accuracy:
            self.floor_violations += 1

    def late(self, now_s: float, visit: Visit) -> None:
        """A call that was missed is answered all the same."""
        if visit.counts is not None:
            self.latencies.add(now_s - visit.arrived_s)

    def missed(self, now_s: float, visit: Visit, cause: str) -> None:
        """A call was not, or will not be, answered in time."""
        self.open -= 1
        self._log(now_s)
        self._log(MISSED - CAUSES.index(cause))
        counts = visit.counts
        if counts is not None:
            counts.misses[cause] = counts.misses.get(cause, 0) + 1

    def hedged(self, visit: Visit) -> None:
        """A call was sent a second time, to be sure."""
        if visit.counts is not None:
            self.hedges += 1

    def ran(self, now_s: float, device: Device, run: Run) -> None:
        """A batch begins to run: it costs, whatever becomes of it."""
        replica = run.replica
        for waiting in run.calls:
            counts = waiting.item.visit.counts
            if counts is not None:
                counts.cost += replica.cost
                self.energy_j += replica.energy_j
        if self._warm_up_s <= now_s < self._until_s:
            device.busy_s += run.service_s

    def kept(self, now_s: float, replica_s: float) -> None:
        """Replicas were kept for a while, at most until the end."""
        self._at(now_s - self._warm_up_s).replicas += replica_s

    def totals(self) -> dict[str, Any]:
        """Returns what `RunResult` has of it."""
        calls = sum(second.calls for second in self.seconds)
        on_time = sum(second.on_time for second in self.seconds)
        accuracy = sum(second.accuracy for second in self.seconds)
        misses: dict[str, int] = {}
        for second in self.seconds:
            for cause, count in second.misses.items():
                misses[cause] = misses.get(cause, 0) + count
        return {
            "calls": calls,
            "on_time": on_time,
            "misses": dict(sorted(misses.items())),
            "floor_violations": self.floor_violations,
            "accuracy_on_time": accuracy / on_time if on_time else 0.0,
            "cost": sum(second.cost for second in self.seconds),
            "energy_j": self.energy_j,
            "hedges": self.hedges,
            "latencies_s": {
                "p50": self.latencies.quantile(0.5),
                "p90": self.latencies.quantile(0.9),
                "p95": self.latencies.quantile(0.95),
                "p99": self.latencies.quantile(0.99),
                "p99.9": self.latencies.quantile(0.999),
            },
            "variants": dict(sorted(self.variants.items())),
            "seconds": [second.second() for second in self.seconds],
            "decisions": self.log.sha256(),
        }

    def _at(self, since_s: float) -> Counts:
        """Returns where is counted what is so long after the warm-up; the last one has the rest."""
        index = int(since_s)
        seconds = self.seconds
        return seconds[index] if index < len(seconds) else seconds[-1]

    def by_function(self, index: int) -> tuple[int, int]:
        """Returns calls and calls on time of one function."""
        step = self._functions
        return sum(self.calls[index::step]), sum(self.on_time[index::step])

    def by_site(self, index: int) -> tuple[int, int]:
        """Returns calls and calls on time of one ingress site."""
        part = slice(index * self._functions, (index + 1) * self._functions)
        return sum(self.calls[part]), sum(self.on_time[part])
