"""Loads a box with twice what it can do, and looks at what becomes of the calls.

    python tests/bench/overload.py            about a minute and a half
    python tests/bench/overload.py --quick    half a minute, for a first look

One function computes for some milliseconds in one replica, so that the replica is the bottleneck,
and neither the gateway nor the load generator, which has the other cores. Its capacity is what
closed connections get through it, measured before and after; then an open loop offers 80 % of that,
twice of it, and 80 % again. Latencies count from the instant at which a call was due.

`--sleeping` replaces the computation by a sleep of the same length, whose capacity the neighbours
of a shared machine do not change.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from box import running_box
from overload_chart import draw
from recording import LOST, UNANSWERED, Recording, Target, arrivals, make_calls, quantiles_ms
from rich.console import Console
from rich.table import Table
from run import RESULTS, machine
from wrk import ensure_wrk, run_wrk

from edgefn.bundle.build import build
from edgefn.client.admin import AdminClient

COMPUTING = """
import numpy as np

from edgefn import edge_function

NUMBERS = np.linspace(0.0, 1.0, 20_000)


@edge_function(name="work", deadline_ms=10_000, scale=({replicas}, {replicas}))
def work(x: int) -> float:
    total = 0.0
    for _ in range({rounds}):
        total += float(np.sin(NUMBERS + x).sum())
    return total
"""
SLEEPING = """
import time

from edgefn import edge_function


@edge_function(name="work", deadline_ms=10_000, scale=({replicas}, {replicas}))
def work(x: int) -> float:
    time.sleep({service_s})
    return 0.0
"""
BODY = msgspec.msgpack.encode({"x": 1})
RECOVERY_S = 5.0  # after the overload; what comes then must be as before
BARS = {
    "goodput at twice the capacity, of the capacity": (0.9, "at least"),
    "p99 of what is admitted at twice the capacity, of that at 80 % load": (2.0, "at most"),
    "p99 of refusals at twice the capacity, ms": (10.0, "at most"),
    "p99 from 5 s after the overload on, of that before": (1.5, "at most"),
    "attainment from 5 s after the overload on, less than before by": (0.01, "at most"),
}


def rounds_for(service_s: float) -> int:
    """Returns how often the function's loop must run to take so long on this machine."""
    numbers = np.linspace(0.0, 1.0, 20_000)
    took_s = []
    for _ in range(200):
        start = time.perf_counter()
        float(np.sin(numbers + 1).sum())
        took_s.append(time.perf_counter() - start)
    return max(1, round(service_s / statistics.median(took_s)))


@contextlib.contextmanager
def loaded_box(arguments: argparse.Namespace) -> Iterator[AdminClient]:
    """Starts a box that serves the function."""
    text = (SLEEPING if arguments.sleeping else COMPUTING).format(
        replicas=arguments.replicas,
        rounds=rounds_for(arguments.service_ms / 1000),
        service_s=arguments.service_ms / 1000,
    )
    with running_box() as admin, tempfile.TemporaryDirectory(prefix="edgefn-bench-") as folder:
        Path(folder, "function.py").write_text(text)
        for bundle in build(folder):
            admin.deploy(bundle)
        yield admin


def capacity(admin: AdminClient, replicas: int, duration_s: float) -> float:
    """Returns calls a second through connections that call again as soon as they are answered.

    These calls say no deadline; that of the function is far away.
    """
    url = f"{admin.url}/v1/functions/work"
    return run_wrk(url, BODY, "application/msgpack", 4 * replicas, duration_s).calls_per_s


def phase(recording: Recording, start_s: float, end_s: float, deadline_ms: float) -> dict[str, Any]:
    """Returns what became of the calls that were due within a time."""
    chosen = (recording.at_s >= start_s) & (recording.at_s < end_s)
    status, latency_ms = recording.status[chosen], recording.latency_ms[chosen]
    results, refused = status == 200, status > 200
    on_time = results & (latency_ms <= deadline_ms)
    codes = Counter(recording.codes[each] for each in recording.code[chosen][refused])
    return {
        "from_s": start_s,
        "to_s": end_s,
        "offered_per_s": len(status) / (end_s - start_s),
        "goodput_per_s": float(on_time.sum() / (end_s - start_s)),
        "attainment": float(on_time.mean()),
        "admitted_ms": quantiles_ms(latency_ms[results]),
        "refused_ms": quantiles_ms(latency_ms[refused]),
        "results_too_late": int((results & ~on_time).sum()),
        "unanswered": int(((status == UNANSWERED) | (status == LOST)).sum()),
        "statuses": {str(one): int((status == one).sum()) for one in np.unique(status)},
        "codes": dict(codes),
        "generator_delay_ms": quantiles_ms(recording.delay_ms[chosen]),
    }


def bars(phases: list[dict[str, Any]], capacity_per_s: float) -> dict[str, float]:
    """Returns what is measured of each of `BARS`."""
    before, over, _, after = phases
    p99 = before["admitted_ms"]["p99"]
    measured = (
        over["goodput_per_s"] / capacity_per_s,
        over["admitted_ms"]["p99"] / p99,
        over["refused_ms"].get("p99", 0.0),
        after["admitted_ms"]["p99"] / p99,
        max(0.0, before["attainment"] - after["attainment"]),
    )
    return dict(zip(BARS, measured, strict=True))


def overload(arguments: argparse.Namespace) -> tuple[dict[str, Any], Recording]:
    """Runs all of it and returns the report."""
    before_s, over_s, after_s, closed_s = (5, 5, 10, 2) if arguments.quick else (20, 20, 20, 5)
    target = Target(
        function="work", body=BODY, headers={"Edgefn-Deadline-Ms": str(arguments.deadline_ms)}
    )
    with loaded_box(arguments) as admin:
        capacity(admin, arguments.replicas, 2.0)  # warm up
        first = capacity(admin, arguments.replicas, closed_s)
        loads = [(0.8 * first, before_s), (2.0 * first, over_s), (0.8 * first, after_s)]
        at_s = arrivals(loads, np.random.default_rng(arguments.seed))
        recording = make_calls(admin.url, [target], at_s)
        second = capacity(admin, arguments.replicas, closed_s)
    ends = [0, before_s, before_s + over_s, before_s + over_s + RECOVERY_S,
            before_s + over_s + after_s]  # fmt: skip
    phases = [
        phase(recording, start_s, end_s, arguments.deadline_ms)
        for start_s, end_s in zip(ends, ends[1:], strict=False)
    ]
    report = {
        "machine": {**machine(), "load_average": os.getloadavg()},
        "function": "sleeps" if arguments.sleeping else "computes",
        "service_ms": arguments.service_ms,
        "deadline_ms": arguments.deadline_ms,
        "replicas": arguments.replicas,
        "capacity_per_s": [first, second],
        "phases": phases,
        "generator_cpu": recording.cpu_s / float(recording.at_s[-1]),
        "bars": bars(phases, max(first, second)),
    }
    return report, recording


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    table = Table("phase", "offered/s", "goodput/s", "attainment", "admitted p50, p99 ms",
                  "refused p50, p99 ms", "statuses")  # fmt: skip
    names = ("80 %", "200 %", "80 %, first 5 s", "80 %, then")
    for name, each in zip(names, report["phases"], strict=True):
        admitted, refused = each["admitted_ms"], each["refused_ms"]
        table.add_row(
            name, f"{each['offered_per_s']:.0f}", f"{each['goodput_per_s']:.0f}",
            f"{each['attainment']:.4f}", f"{admitted['p50']:.1f}, {admitted['p99']:.1f}",
            f"{refused['p50']:.1f}, {refused['p99']:.1f}" if refused else "",
            ", ".join(f"{status}: {count}" for status, count in each["statuses"].items()),
        )  # fmt: skip
    console.print(table)
    told = ", ".join(f"{each:.1f}" for each in report["capacity_per_s"])
    console.print(f"capacity {told} calls/s; {report['generator_cpu']:.1%} of a core for the load")
    table = Table("bar", "measured", "wanted", "")
    for name, value in report["bars"].items():
        limit, sense = BARS[name]
        met = value <= limit if sense == "at most" else value >= limit
        verdict = "[green]met" if met else "[red]missed"
        table.add_row(name, f"{value:.3f}", f"{sense} {limit}", verdict)
    console.print(table)


def main() -> int:
    """Runs the bench, prints it and writes it as JSON and as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short phases, for a first look")
    parser.add_argument("--sleeping", action="store_true", help="sleep instead of computing")
    parser.add_argument("--service-ms", type=float, default=5.0)
    parser.add_argument("--deadline-ms", type=float, default=100.0)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path, help="write every call to this file")
    arguments = parser.parse_args()
    ensure_wrk()
    report, recording = overload(arguments)
    show(report)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"overload-{report['function']}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    draw(report, recording, path.with_suffix(".png"))
    if arguments.record:
        recording.save(arguments.record)
    print(f"written to {path} and {path.with_suffix('.png').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
