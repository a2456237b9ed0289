"""What came of a simulation, in numbers that can be compared and drawn."""

import msgspec


class Second(msgspec.Struct, kw_only=True):
    """One second of virtual time: calls that came in then, and what became of them."""

    calls: int = 0
    on_time: int = 0
    accuracy: float = 0.0
    cost: float = 0.0
    replicas: float = 0.0
    misses: dict[str, int] = {}


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run; calls of the warm-up are not in it.

    Attributes:
        scenario: Its name.
        policy: Which policy decided.
        queue: How replicas queued: `edf` (the production queue) or `fifo`.
        seed: Of all randomness.
        load: The workload's rate was multiplied by it.
        calls: That came in.
        on_time: Answered within their deadline.
        misses: The others, by cause: `network`, `queue`, `cold`, `compute`, `refused`, `lost`.
        floor_violations: Answers below the accuracy that was asked for.
        accuracy_on_time: Mean accuracy of those on time.
        cost: Of all runs, hedges and late ones included.
        energy_j: Likewise.
        hedges: Calls that were sent twice.
        replica_s: Replicas times seconds, starting ones included.
        utilisation: Share of the time in which cores worked, by tier.
        latencies_s: Of answered calls: quantiles by name, as in `p50`, `p99`, `p99.9`.
        functions: Calls and calls on time, by function.
        sites: Calls and calls on time, by ingress site.
        variants: Answers in time, by variant and tier, as in `int8@edge`.
        seconds: The course of it.
        decisions: SHA-256 of every decision and outcome in order: equal runs have equal ones.
        events: That the simulator handled.
        took_s: Of real time.
    """

    scenario: str
    policy: str
    queue: str
    seed: int
    load: float
    calls: int
    on_time: int
    misses: dict[str, int]
    floor_violations: int
    accuracy_on_time: float
    cost: float
    energy_j: float
    hedges: int
    replica_s: float
    utilisation: dict[str, float]
    latencies_s: dict[str, float]
    functions: dict[str, tuple[int, int]]
    sites: dict[str, tuple[int, int]]
    variants: dict[str, int]
    seconds: list[Second]
    decisions: str
    events: int
    took_s: float

    @property
    def attainment(self) -> float:
        """Share of the calls that were answered in time."""
        return self.on_time / self.calls if self.calls else 1.0
