"""What gateways reported, added up: nothing that was reported is lost when a gateway dies."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgefn.gateway.control import LATENCY_EDGES_S, FunctionReport, PlaceReport, Report
from edgefn.scaling.demand import DemandReport

FIRST_ERROR_STATUS = 500
MAX_REPORTS = 256  # of demand that nobody took


@dataclass(slots=True)
class FunctionTotals:
    """One function since the box started; the names are those of `FunctionReport`."""

    outcomes: Counter[int] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    forwarded_in: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    latency_buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_EDGES_S) + 1))
    latency_sum_s: float = 0.0
    cold_starts: int = 0
    queue_sum_s: float = 0.0
    service_sum_s: float = 0.0

    @property
    def calls(self) -> int:
        """Calls that were answered, in whatever way."""
        return self.outcomes.total()

    @property
    def errors(self) -> int:
        """Calls that were answered with a 5xx status."""
        return sum(n for status, n in self.outcomes.items() if status >= FIRST_ERROR_STATUS)

    def add(self, report: FunctionReport) -> None:
        """Adds what one gateway did since its last report."""
        self.outcomes.update(report.outcomes)
        self.variants.update(report.variants)
        self.misses.update(report.misses)
        for sent in report.sent:
            self.sent[(sent.variant, sent.place, sent.purpose)] += sent.count
        self.refused.update(report.refused)
        self.degraded += report.degraded
        self.forwarded_in += report.forwarded_in
        for i, count in enumerate(report.latency_buckets[: len(self.latency_buckets)]):
            self.latency_buckets[i] += count
        self.latency_sum_s += report.latency_sum_s
        self.cold_starts += report.cold_starts
        self.queue_sum_s += report.queue_sum_s
        self.service_sum_s += report.service_sum_s


class Totals:
    """The sums by function, and what each gateway last said of the present."""

    def __init__(self) -> None:
        self.functions: dict[str, FunctionTotals] = {}
        self._now: dict[int, dict[str, FunctionReport]] = {}
        self._connections: dict[int, int] = {}
        self._places: dict[int, tuple[PlaceReport, ...]] = {}
        self._demand: dict[str, deque[dict[str, DemandReport]]] = {}

    def expect(self, function: str) -> None:
        """Begins to count a function; reports of others are dropped."""
        self.functions.setdefault(function, FunctionTotals())

    def forget(self, function: str) -> None:
        """Drops a function that was removed."""
        self.functions.pop(function, None)
        self._demand.pop(function, None)
        for reports in self._now.values():
            reports.pop(function, None)

    def add(self, report: Report) -> None:
        """Adds a gateway's report."""
        now = self._now.setdefault(report.gateway, {})
        self._connections[report.gateway] = report.connections
        self._places[report.gateway] = report.places
        for function in report.functions:
            if totals := self.functions.get(function.name):
                totals.add(function)
                now[function.name] = function
                if function.demand:
                    waiting = self._demand.setdefault(function.name, deque(maxlen=MAX_REPORTS))
                    waiting.append(function.demand)

    def take_demand(self, function: str) -> dict[str, list[DemandReport]]:
        """Returns what was wanted of each variant of a function since the last time."""
        taken: dict[str, list[DemandReport]] = {}
        for report in self._demand.pop(function, ()):
            for variant, demand in report.items():
                taken.setdefault(variant, []).append(demand)
        return taken

    def forget_gateway(self, gateway: int) -> None:
        """Drops what a gateway that ended said of the present."""
        self._now.pop(gateway, None)
        self._connections.pop(gateway, None)
        self._places.pop(gateway, None)

    def connections(self, gateway: int) -> int:
        """Returns how many connections a gateway has."""
        return self._connections.get(gateway, 0)

    def places(self) -> list[dict[str, Any]]:
        """Returns the peers that gateways are or were linked with, as the admin API spells them."""
        found: dict[str, list[PlaceReport]] = {}
        for report in self._places.values():
            for place in report:
                found.setdefault(place.name, []).append(place)
        return [_place(found[name]) for name in sorted(found)]

    def reserved(self) -> Counter[str]:
        """Returns by function how many replicas peers ask this box to have ready.

        A peer tells each gateway that it is linked with the same, so that counts once.
        """
        asked: dict[str, Counter[str]] = {}
        for report in self._places.values():
            for place in report:
                if place.reserves:
                    asked[place.name] = asked.get(place.name, Counter()) | Counter(place.reserves)
        return sum(asked.values(), Counter())

    def ongoing(self, function: str) -> int:
        """Returns how many calls are at a replica of a function."""
        return sum(report.ongoing for report in self._reports(function))

    def waiting(self, function: str) -> int:
        """Returns how many calls wait for a first replica of any variant of a function."""
        return sum(sum(report.waiting.values()) for report in self._reports(function))

    def waiting_for(self, function: str, variant: str) -> int:
        """Returns how many calls wait for a first replica of one variant."""
        return sum(report.waiting.get(variant, 0) for report in self._reports(function))

    def at_replica(self, function: str, replica: str) -> int:
        """Returns how many calls are at one replica of a function."""
        return sum(report.replicas.get(replica, 0) for report in self._reports(function))

    def _reports(self, function: str) -> Iterable[FunctionReport]:
        for reports in self._now.values():
            if report := reports.get(function):
                yield report


def _place(seen: list[PlaceReport]) -> dict[str, Any]:
    """Returns a peer as all gateways together see it."""
    up = [one for one in seen if one.up]
    return {
        "name": seen[0].name,
        "tier": seen[0].tier,
        "up": bool(up),
        "rtt_ms": min((round(one.rtt_s * 1000, 1) for one in up), default=0.0),
        "calls": sum(one.calls for one in up),
    }
