"""Records a run of a real box, and simulates the same calls: does the simulation tell the truth?

    python tests/bench/replay.py            about a minute and a half
    python tests/bench/replay.py --quick    half a minute, for a first look

An open loop calls one function in one replica, calmly and in bursts beyond its capacity, with a
deadline that the bursts make hard to meet. Of the first half of the recording the service time
(mean and variation) and the overhead of everything else are fitted; the second half is compared
with the simulation, which has the same arrivals, the production router and the production queue,
and draws the noise of service times by itself, several times over.

`--sleeping` replaces the computation by a sleep of the same length, whose duration the neighbours
of a shared machine do not change.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from overload import BODY, capacity, loaded_box
from recording import Column, Recording, Target, arrivals, make_calls
from replay_chart import draw
from rich.console import Console
from rich.table import Table
from run import RESULTS, machine
from wrk import ensure_wrk

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.result import RunResult
from edgefn.simulate.run import simulate
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)

SEEDS = range(5)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
BARS = {"attainment, points apart": 1.0, "p99, per cent apart": 15.0}


def load(
    capacity_per_s: float, duration_s: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Returns phases of calm and of bursts, as (calls a second, seconds)."""
    phases, left_s = [], duration_s
    while left_s > 0:
        for share, least_s, most_s in ((0.55, 2.0, 5.0), (1.5, 0.2, 0.7)):
            phase_s = min(float(rng.uniform(least_s, most_s)), left_s)
            if phase_s > 0:
                phases.append((share * capacity_per_s, phase_s))
            left_s -= phase_s
    return phases


def record(arguments: argparse.Namespace, duration_s: float) -> Recording:
    """Returns what became of the calls on a real box."""
    rng = np.random.default_rng(arguments.seed)
    headers = {"Edgefn-Deadline-Ms": str(arguments.deadline_ms)}
    target = Target(function="work", body=BODY, headers=headers)
    with loaded_box(arguments) as admin:
        capacity(admin, 1, 2.0)  # warm up
        phases = load(capacity(admin, 1, 3.0), duration_s, rng)
        return make_calls(admin.url, [target], arrivals(phases, rng))


def fit(recording: Recording, until_s: float) -> dict[str, float]:
    """Returns what the simulation is told, from calls that were due until an instant."""
    chosen = (recording.status == 200) & (recording.at_s < until_s)
    compute_ms = recording.compute_ms[chosen].astype(float)
    other_ms = recording.latency_ms[chosen] - recording.queue_ms[chosen] - compute_ms
    return {
        "service_ms": float(compute_ms.mean()),
        "service_cv": float(compute_ms.std() / compute_ms.mean()),
        "overhead_ms": float(np.median(other_ms)),
    }


def scenario_of(fitted: dict[str, float], deadline_ms: float, duration_s: float) -> Scenario:
    """Returns the box as the simulator sees it."""
    variant = VariantModel(
        name="python", each_s=fitted["service_ms"] / 1000, cv=fitted["service_cv"]
    )
    function = FunctionModel(
        name="work", deadline_s=deadline_ms / 1000, idempotent=False, variants=(variant,)
    )
    return Scenario(
        name="replay",
        duration_s=duration_s,
        warm_up_s=duration_s / 2,
        functions=(function,),
        sites=(SiteModel(name="box", boxes=(BoxModel(),)),),
        local_rtt_s=fitted["overhead_ms"] / 1000,
        workload=Workload(calls_per_s=1.0),
    )


def calls_of(at_s: Column, seed: int) -> Iterator[Arrival]:
    """Yields the recorded calls with luck of their own."""
    luck = np.random.default_rng(seed).standard_normal((len(at_s), 2)).tolist()
    for instant_s, (service, network) in zip(at_s.tolist(), luck, strict=True):
        yield Arrival(instant_s, 0, 0, len(BODY), service, network)


def observed(recording: Recording, from_s: float) -> dict[str, Any]:
    """Returns the second half of the recording as the gateway saw it, with its own clock.

    So does the simulation; what lies between gateway and caller is neither's.
    """
    chosen = recording.at_s >= from_s
    results = chosen & (recording.status == 200)
    met = results & (recording.sla == recording.slas.index("met"))
    return {
        "calls": int(chosen.sum()),
        "attainment": float(met.sum() / chosen.sum()),
        "latencies_ms": {
            name: float(np.quantile(recording.latency_ms[results], share))
            for name, share in QUANTILES.items()
        },
        "statuses": {
            str(status): int((recording.status[chosen] == status).sum())
            for status in np.unique(recording.status[chosen])
        },
    }


def simulated(result: RunResult) -> dict[str, Any]:
    """Returns the same of a simulation."""
    return {
        "calls": result.calls,
        "attainment": result.attainment,
        "latencies_ms": {name: result.latencies_s[name] * 1000 for name in QUANTILES},
        "misses": result.misses,
    }


def compare(recording: Recording, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the report, the courses of both runs in it."""
    duration_s = float(np.ceil(recording.at_s[-1]))
    fitted = fit(recording, duration_s / 2)
    scenario = scenario_of(fitted, arguments.deadline_ms, duration_s)
    results = [
        simulate(scenario, seed=seed, arrivals=calls_of(recording.at_s, seed)) for seed in SEEDS
    ]
    real, ours = observed(recording, duration_s / 2), [simulated(each) for each in results]
    attainment = statistics.mean(each["attainment"] for each in ours)
    p99_ms = statistics.mean(each["latencies_ms"]["p99"] for each in ours)
    apart = (
        abs(attainment - real["attainment"]) * 100,
        abs(p99_ms / real["latencies_ms"]["p99"] - 1) * 100,
    )
    return {
        "machine": {**machine(), "load_average": os.getloadavg()},
        "function": "sleeps" if arguments.sleeping else "computes",
        "deadline_ms": arguments.deadline_ms,
        "duration_s": duration_s,
        "fitted_on_the_first_half": fitted,
        "real": real,
        "simulated": ours,
        "bars": dict(zip(BARS, apart, strict=True)),
        "seconds": {
            "real": _course(recording, duration_s / 2),
            "simulated": [
                [each.on_time / each.calls if each.calls else None for each in result.seconds]
                for result in results
            ],
        },
    }


def _course(recording: Recording, from_s: float) -> list[float | None]:
    """Returns the share of calls in time, by second from `from_s` on."""
    due = (recording.at_s - from_s).astype(int)[recording.at_s >= from_s]
    met = (recording.sla == recording.slas.index("met"))[recording.at_s >= from_s]
    calls, in_time = np.bincount(due), np.bincount(due, weights=met)
    return [float(good / all_) if all_ else None for good, all_ in zip(in_time, calls, strict=True)]


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    console.print("fitted:", report["fitted_on_the_first_half"])
    table = Table("second half", "calls", "attainment", *QUANTILES)
    runs = {"real": report["real"]}
    runs.update({f"simulated {n}": each for n, each in enumerate(report["simulated"])})
    for name, each in runs.items():
        latencies = (f"{each['latencies_ms'][key]:.1f}" for key in QUANTILES)
        table.add_row(name, str(each["calls"]), f"{each['attainment']:.4f}", *latencies)
    console.print(table)
    for name, value in report["bars"].items():
        verdict = "[green]met" if value <= BARS[name] else "[red]missed"
        console.print(f"{name}: {value:.2f}, at most {BARS[name]}: {verdict}")


def main() -> int:
    """Runs the bench, prints it and writes it as JSON and as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument("--sleeping", action="store_true", help="sleep instead of computing")
    parser.add_argument("--service-ms", type=float, default=5.0)
    parser.add_argument("--deadline-ms", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(replicas=1)
    arguments = parser.parse_args()
    ensure_wrk()
    report = compare(record(arguments, 16.0 if arguments.quick else 60.0), arguments)
    show(report)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"replay-{report['function']}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    draw(report, path.with_suffix(".png"))
    print(f"written to {path} and {path.with_suffix('.png').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
