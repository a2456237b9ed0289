"""Compares the router with other ways to route, on examples/scenarios/scenario_a.toml.

    python tests/bench/scenario_a.py           all of it, more than an hour on two cores
    python tests/bench/scenario_a.py --quick --seeds 2   few policies, no files

Every policy gets the same calls and the same luck at each seed, once with the production queue
(earliest deadline first, what cannot be in time is dropped) and once with a queue of its own (first
in, first out, no drop). Intervals are of 95 %, by Student's t over the seeds; those of differences
are paired. Writes results/scenario_a.json, .md and .png.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from scenario_a_chart import draw

from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.file import read_scenario
from edgefn.simulate.result import RunResult
from edgefn.simulate.run import simulate
from edgefn.simulate.statistics import Estimate, estimate, paired

RESULTS = Path(__file__).with_name("results")
SCENARIO = Path(__file__).parents[2] / "examples" / "scenarios" / "scenario_a.toml"
OURS, BOUND, INFAAS = "edgefn", "perfect", "infaas_cheapest"
QUICK = (OURS, BOUND, INFAAS, "two_choices")
BURSTY = (*QUICK, "ray_serve", "prequal")
CVS = (1.0, 4.0, 8.0)  # beside the scenario's 2


class Setting(NamedTuple):
    """One run less its seed."""

    policy: str
    queue: str
    load: float
    cv: float


class Job(NamedTuple):
    """One run."""

    setting: Setting
    seed: int
    duration_s: float


def settings(policies: Iterable[str]) -> list[Setting]:
    """Returns what is compared."""
    names = list(policies)
    found = [
        Setting(name, queue, load, 2.0)
        for load in (1.0, 2.0)
        for queue in ("edf", "fifo")
        for name in names
    ]
    bursty = [name for name in names if name in BURSTY]
    return found + [Setting(name, "edf", 1.0, cv) for cv in CVS for name in bursty]


def run(job: Job) -> tuple[Job, RunResult]:
    """Simulates one."""
    scenario = read_scenario(SCENARIO)
    workload = msgspec.structs.replace(scenario.workload, cv=job.setting.cv)
    scenario = msgspec.structs.replace(scenario, workload=workload, duration_s=job.duration_s)
    policy, queue, load, _ = job.setting
    return job, simulate(scenario, policy=policy, queue=queue, seed=job.seed, load=load)


def row(setting: Setting, results: list[RunResult]) -> dict[str, Any]:
    """Returns what the seeds of one setting say together."""
    calls = sum(one.calls for one in results)
    causes = {cause for one in results for cause in one.misses}
    return {
        **setting._asdict(),
        "slo": _numbers(estimate([100.0 * one.attainment for one in results])),
        "accuracy": _numbers(estimate([one.accuracy_on_time for one in results])),
        "cost_per_1k": _numbers(estimate([1000.0 * one.cost / one.calls for one in results])),
        "hedged": sum(one.hedges for one in results) / calls,
        "calls": calls,
        "floor_violations": sum(one.floor_violations for one in results),
        "misses": {
            cause: sum(one.misses.get(cause, 0) for one in results) / calls
            for cause in sorted(causes)
        },
    }


def _numbers(one: Estimate) -> dict[str, float]:
    return {"mean": round(one.mean, 4), "reach": round(one.reach, 4)}


class Comparison:
    """All runs, by setting."""

    def __init__(self, runs: dict[Setting, list[RunResult]]) -> None:
        self._runs = runs

    def slo(self, setting: Setting) -> float:
        """Returns the attainment, in per cent."""
        return estimate([100.0 * one.attainment for one in self._runs[setting]]).mean

    def cost(self, setting: Setting) -> float:
        """Returns the cost of a thousand calls."""
        return estimate([1000.0 * one.cost / one.calls for one in self._runs[setting]]).mean

    def best_baseline(self, load: float, cv: float) -> str:
        """Returns which one answers most calls in time with our queue, of other systems."""
        rivals = [
            one
            for one in self._runs
            if (one.queue, one.load, one.cv) == ("edf", load, cv)
            and one.policy not in (OURS, BOUND)
        ]
        return max(rivals, key=self.slo).policy

    def difference(self, other: str, load: float, cv: float) -> Estimate:
        """Returns by how many points of attainment ours is above another, paired by seed."""
        ours, theirs = (
            [100.0 * one.attainment for one in self._runs[Setting(name, "edf", load, cv)]]
            for name in (OURS, other)
        )
        return paired(ours, theirs)


def bars(found: Comparison) -> list[dict[str, Any]]:
    """Returns what is wanted of the router, and what was measured."""
    once, twice = (Setting(OURS, "edf", load, 2.0) for load in (1.0, 2.0))
    infaas = Setting(INFAAS, "edf", 1.0, 2.0)
    rows = [
        ("attainment at 1x, %", found.slo(once), 99.0, True),
        (
            "cost at 1x, of INFaaS-like cheapest's",
            found.cost(once) / found.cost(infaas),
            1.0,
            False,
        ),
        ("attainment at 2x, %", found.slo(twice), 95.0, True),
        ("points below perfect information at 1x", -_gap(found), 1.0, False),
        ("attainment at CV 8, %", found.slo(Setting(OURS, "edf", 1.0, 8.0)), 92.0, True),
    ]
    for load in (1.0, 2.0):
        best = found.best_baseline(load, 2.0)
        missed, others = (
            100.0 - found.slo(Setting(name, "edf", load, 2.0)) for name in (OURS, best)
        )
        rows.append((f"misses at {load:g}x, of {best}'s", missed / others, 0.5, False))
    return [
        {
            "what": what,
            "measured": round(value, 3),
            "wanted": wanted,
            "at_least": least,
            "met": value >= wanted if least else value <= wanted,
        }
        for what, value, wanted, least in rows
    ]


def _gap(found: Comparison) -> float:
    return found.difference(BOUND, 1.0, 2.0).mean


def report(runs: dict[Setting, list[RunResult]], options: argparse.Namespace) -> dict[str, Any]:
    """Returns all that is written down."""
    found = Comparison(runs)
    compared = [(1.0, 2.0), (2.0, 2.0), *((1.0, cv) for cv in CVS)]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds": options.seeds,
        "duration_s": options.duration,
        "rows": [row(setting, results) for setting, results in runs.items()],
        "against_best_baseline": [
            {
                "load": load,
                "cv": cv,
                "baseline": (best := found.best_baseline(load, cv)),
                "points": _numbers(found.difference(best, load, cv)),
                "points_to_perfect": _numbers(found.difference(BOUND, load, cv)),
            }
            for load, cv in compared
        ],
        "bars": bars(found),
    }


def markdown(found: dict[str, Any]) -> str:
    """Returns the tables of a report."""
    lines = [
        f"{found['seeds']} seeds of {found['duration_s']:g} s, the first 10 s not counted; "
        f"{found['at'][:10]}. SLO: calls answered in time, in per cent; accuracy: of these; cost: "
        "of 1,000 calls. Intervals of 95 %.\n"
    ]
    for load in (1.0, 2.0):
        lines += _table([one for one in found["rows"] if (one["load"], one["cv"]) == (load, 2.0)])
    lines += _by_cv(found["rows"])
    lines += [
        f"| points of SLO over the best baseline, our queue | | over {BOUND} |",
        "|---|---|---|",
    ]
    lines += [
        f"| {one['load']:g}x, CV {one['cv']:g}: {one['baseline']} "
        f"| {_plus_minus(one['points'], '+')} | {_plus_minus(one['points_to_perfect'], '+')} |"
        for one in found["against_best_baseline"]
    ]
    lines += ["", "| wanted | measured | |", "|---|---|---|"]
    lines += [
        f"| {one['what']}: at {'least' if one['at_least'] else 'most'} {one['wanted']:g} "
        f"| {one['measured']:.2f} | {'met' if one['met'] else '**missed**'} |"
        for one in found["bars"]
    ]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    own = {one["policy"]: one for one in rows if one["queue"] == "fifo"}
    ours = sorted(
        (one for one in rows if one["queue"] == "edf"), key=lambda one: -one["slo"]["mean"]
    )
    lines = [
        f"| load {rows[0]['load']:g}x, CV 2 | SLO, our queue | accuracy | cost | SLO, FIFO |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['policy']} | {_plus_minus(one['slo'])} | {100 * one['accuracy']['mean']:.1f} "
        f"| {one['cost_per_1k']['mean']:.0f} | {_plus_minus(own[one['policy']]['slo'])} |"
        for one in ours
    ]
    return [*lines, ""]


def _by_cv(rows: list[dict[str, Any]]) -> list[str]:
    cvs = sorted({one["cv"] for one in rows})
    slo = {
        (one["policy"], one["cv"]): one["slo"]
        for one in rows
        if (one["load"], one["queue"]) == (1.0, "edf")
    }
    names = sorted(
        (name for name, cv in slo if cv == max(cvs)), key=lambda name: -slo[name, max(cvs)]["mean"]
    )
    lines = [
        "| SLO at 1x, our queue | " + " | ".join(f"CV {cv:g}" for cv in cvs) + " |",
        "|---" * (len(cvs) + 1) + "|",
    ]
    lines += [
        f"| {name} | " + " | ".join(_plus_minus(slo[name, cv]) for cv in cvs) + " |"
        for name in names
    ]
    return [*lines, ""]


def _plus_minus(numbers: dict[str, float], sign: str = "") -> str:
    return f"{numbers['mean']:{sign}.2f} ± {numbers['reach']:.2f}"


def main() -> None:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=60.0, help="of each run, in seconds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="few policies; no files")
    options = parser.parse_args()
    policies = QUICK if options.quick else (OURS, *POLICIES)
    runs: dict[Setting, list[RunResult]] = {one: [] for one in settings(policies)}
    jobs = [
        Job(setting, seed, options.duration)
        for setting in runs
        for seed in range(1, options.seeds + 1)
    ]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for job, result in pool.imap(run, jobs):
            runs[job.setting].append(result)
    found = report(runs, options)
    found["took_s"] = round(time.perf_counter() - started, 1)
    print(markdown(found))
    if not options.quick:
        RESULTS.joinpath("scenario_a.json").write_text(json.dumps(found, indent=1) + "\n")
        RESULTS.joinpath("scenario_a.md").write_text(markdown(found))
        draw(found, RESULTS / "scenario_a.png")


if __name__ == "__main__":
    main()
