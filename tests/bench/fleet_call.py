"""Compares calls at a box of a fleet with calls at a lone box.

    python tests/bench/fleet_call.py [--ray] [--quick]

The same function, `functions/diagnosis`, at a lone box and at one that joined a hub: it keeps a
link with TLS to it, takes its functions from there, and reports. With `--ray` also at one whose
replicas are leased by Ray Serve (needs `pip install 'edgefn[ray]'`). All boxes and the load
generator are on this machine, and run all the time; rounds are interleaved and go back and forth,
and ratios are paired by round.
"""

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec
from box import HUB, deploy, deploy_to_fleet, joined_box, running_box, wait_for_lease
from fleet_chart import draw
from processes import cpu_s, serving
from rich.console import Console
from rich.table import Table
from run import machine, sample
from wrk import Load, ensure_wrk, run_wrk

from edgefn.client.admin import AdminClient
from edgefn_runtime.codecs import tensor_map

FOLDER: Final = Path(__file__).resolve().parents[2] / "functions" / "diagnosis"
RESULTS: Final = Path(__file__).with_name("results")
CONNECTIONS: Final = (1, 32)
LONE, JOINED, WITH_RAY = "lone box", "box of a fleet", "box of a fleet with Ray"
WANTED: Final = 1.15
PATIENT: Final = {"deadline_ms=100": "deadline_ms=5000"}  # on a busy machine no call may fail

# A run, and the processor time of the box for each of its calls in microseconds.
Run = tuple[Load, float]
Found = dict[tuple[str, int], list[Run]]


def start(stack: ExitStack, *, ray: bool) -> dict[str, AdminClient]:
    """Starts a lone box and those of fleets, each with the function."""
    found = {LONE: stack.enter_context(running_box())}
    deploy(found[LONE], FOLDER, **PATIENT)
    fleets = {JOINED: ()} | ({WITH_RAY: ("--ray",)} if ray else {})
    for name, options in fleets.items():
        hub = stack.enter_context(running_box(*HUB, *options))
        found[name] = stack.enter_context(joined_box(hub, *options))
        deploy_to_fleet(hub, found[name], FOLDER, **PATIENT)
        if options:
            wait_for_lease(found[name], FOLDER.name)
    return found


def run_rounds(boxes: dict[str, AdminClient], rounds: int, duration_s: float) -> Found:
    """Runs every box and number of connections, interleaved; the first round warms up."""
    body = msgspec.msgpack.encode({"features": tensor_map(sample())})
    pids = {name: serving(box.status().pid) for name, box in boxes.items()}
    found: Found = {}
    for turn in range(rounds + 1):
        for connections in CONNECTIONS:
            for name in sorted(boxes, reverse=bool(turn % 2)):
                url, began_s = f"{boxes[name].url}/v1/functions/diagnosis", cpu_s(pids[name])
                load = run_wrk(url, body, "application/msgpack", connections, duration_s)
                calls = load.calls_per_s * duration_s
                took_us = (cpu_s(pids[name]) - began_s) / calls * 1e6
                found.setdefault((name, connections), []).append((load, took_us))
        print(f"round {turn} of {rounds} done", flush=True)
    return {key: runs[1:] for key, runs in found.items()}


def summary(found: Found) -> list[dict[str, Any]]:
    """Returns the median of the rounds, a row a box and number of connections."""
    return [
        {
            "box": box,
            "connections": connections,
            **{
                key: statistics.median(asdict(load)[key] for load, _ in runs)
                for key in ("calls_per_s", "p50_ms", "p95_ms", "p99_ms")
            },
            "cpu_us": statistics.median(took_us for _, took_us in runs),
            "rounds": [[round(load.calls_per_s), load.p50_ms] for load, _ in runs],
        }
        for (box, connections), runs in sorted(found.items(), key=lambda item: item[0][1])
    ]


def ratios(found: Found) -> dict[str, dict[str, list[float]]]:
    """Returns how many times a call takes in a fleet, by round, sorted."""
    result = {}
    for box in dict.fromkeys(box for box, _ in found if box != LONE):
        one = list(zip(found[box, 1], found[LONE, 1], strict=True))
        many = zip(found[box, 32], found[LONE, 32], strict=True)
        result[box] = {
            "p50, 1 connection": sorted(its.p50_ms / lone.p50_ms for (its, _), (lone, _) in one),
            "p99, 1 connection": sorted(its.p99_ms / lone.p99_ms for (its, _), (lone, _) in one),
            "processor time, 1 connection": sorted(its / lone for (_, its), (_, lone) in one),
            "calls/s, 32 connections": sorted(
                its.calls_per_s / lone.calls_per_s for (its, _), (lone, _) in many
            ),
        }
    return result


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    table = Table("box", "connections", "calls/s", "p50 ms", "p95 ms", "p99 ms", "CPU us a call")
    for row in report["loads"]:
        latencies = (f"{row[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        table.add_row(
            row["box"], str(row["connections"]), f"{row['calls_per_s']:,.0f}", *latencies,
            f"{row['cpu_us']:.0f}",
        )  # fmt: skip
    console.print(table)
    table = Table("over the lone box", "what", "median", "lowest", "highest", "")
    for box, compared in report["ratios"].items():
        for what, values in compared.items():
            verdict = ""
            if what.startswith("p50"):
                met = statistics.median(values) <= WANTED
                verdict = f"at most {WANTED}: " + ("[green]met" if met else "[red]missed")
            shown = (statistics.median(values), values[0], values[-1])
            table.add_row(box, what, *(f"{value:.3f} x" for value in shown), verdict)
    console.print(table)


def main() -> int:
    """Runs the bench, prints it, and writes it as JSON and as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ray", action="store_true", help="a fleet with Ray, too")
    parser.add_argument("--quick", action="store_true", help="for a first look: writes nothing")
    arguments = parser.parse_args()
    rounds, duration_s = (2, 2.0) if arguments.quick else (12, 4.0)
    ensure_wrk()
    with ExitStack() as stack:
        found = run_rounds(start(stack, ray=arguments.ray), rounds, duration_s)
    report = {"machine": machine(), "loads": summary(found), "ratios": ratios(found)}
    show(report)
    if not arguments.quick:
        (RESULTS / "fleet_call.json").write_text(json.dumps(report, indent=2) + "\n")
        draw(report, RESULTS / "fleet_call.png")
        print(f"written to {RESULTS / 'fleet_call.json'} and fleet_call.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
