"""What the runs of one policy at several seeds say together, and two policies of each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgefn.simulate.result import RunResult
from edgefn.simulate.statistics import Estimate, estimate, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Runs that differ by their seed only.

    Attributes:
        policy: Who decided.
        queue: How replicas queued.
        load: The workload's rate was multiplied by it.
        seeds: Of the runs.
        calls: Of all runs.
        attainment: Share of calls answered in time.
        accuracy: Of answers in time.
        cost: Of a thousand calls.
        energy_j: Of a thousand calls.
        replicas: On average over time.
        hedges: Share of calls that were sent twice.
        p50_s: Median latency of answers.
        p99_s: Their 99 % quantile.
        misses: Share of all calls that was missed, by cause.
        floor_violations: Answers below the accuracy that was asked for.
    """

    policy: str
    queue: str
    load: float
    seeds: tuple[int, ...]
    calls: int
    attainment: Estimate
    accuracy: Estimate
    cost: Estimate
    energy_j: Estimate
    replicas: Estimate
    hedges: Estimate
    p50_s: Estimate
    p99_s: Estimate
    misses: dict[str, float]
    floor_violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One policy less another one, seed by seed.

    Attributes:
        policy: The one.
        other: The other one.
        attainment: Difference of the shares of calls in time.
        accuracy: Of the accuracies.
        cost: Of the costs of a thousand calls.
    """

    policy: str
    other: str
    attainment: Estimate
    accuracy: Estimate
    cost: Estimate


def summarise(results: Sequence[RunResult]) -> list[Summary]:
    """Returns a summary for each policy, queue and load, in the order in which they come first."""
    return [_summary(runs) for runs in grouped(results)]


def grouped(results: Sequence[RunResult]) -> list[list[RunResult]]:
    """Returns runs that differ by their seed only together, sorted by it."""
    groups: dict[tuple[str, str, float], list[RunResult]] = {}
    for run in results:
        groups.setdefault((run.policy, run.queue, run.load), []).append(run)
    return [sorted(runs, key=lambda run: run.seed) for runs in groups.values()]


def _summary(runs: Sequence[RunResult]) -> Summary:
    calls = sum(run.calls for run in runs)
    causes = {cause for run in runs for cause in run.misses}
    return Summary(
        policy=runs[0].policy,
        queue=runs[0].queue,
        load=runs[0].load,
        seeds=tuple(run.seed for run in runs),
        calls=calls,
        attainment=estimate([run.attainment for run in runs]),
        accuracy=estimate([run.accuracy_on_time for run in runs]),
        cost=estimate([_per_thousand(run.cost, run) for run in runs]),
        energy_j=estimate([_per_thousand(run.energy_j, run) for run in runs]),
        replicas=estimate([run.replica_s / max(len(run.seconds), 1) for run in runs]),
        hedges=estimate([run.hedges / max(run.calls, 1) for run in runs]),
        p50_s=estimate([run.latencies_s["p50"] for run in runs]),
        p99_s=estimate([run.latencies_s["p99"] for run in runs]),
        misses={
            cause: sum(run.misses.get(cause, 0) for run in runs) / max(calls, 1)
            for cause in sorted(causes)
        },
        floor_violations=sum(run.floor_violations for run in runs),
    )


def differences(results: Sequence[RunResult]) -> list[Difference]:
    """Returns the first policy less each of the others, where they ran at the same seeds."""
    first, *others = grouped(results)
    made: list[Difference] = []
    for other in others:
        if [run.seed for run in other] != [run.seed for run in first]:
            continue
        made.append(
            Difference(
                policy=first[0].policy,
                other=other[0].policy,
                attainment=_paired(first, other, lambda run: run.attainment),
                accuracy=_paired(first, other, lambda run: run.accuracy_on_time),
                cost=_paired(first, other, lambda run: _per_thousand(run.cost, run)),
            )
        )
    return made


def _paired(
    first: Sequence[RunResult], other: Sequence[RunResult], of: Callable[[RunResult], float]
) -> Estimate:
    return paired([of(run) for run in first], [of(run) for run in other])


def _per_thousand(value: float, run: RunResult) -> float:
    return 1000.0 * value / run.calls if run.calls else 0.0
