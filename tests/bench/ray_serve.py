"""Compares a box with the same function behind Ray Serve: by its handle, and by its HTTP proxy.

    python tests/bench/ray_serve.py [--quick]

Needs `pip install 'edgefn[ray]'`. All get the same msgpack body, run the same code and model file
with one thread, in one replica, and may take what has arrived as one batch. Serve is as it comes,
but for `max_ongoing_requests`: its default of 5 would not let 32 calls in. Its handle passes by
reference (its default) or by value, over gRPC; it is asked by asyncio tasks of this process, so
without any HTTP, and by a bare aiohttp handler. What speaks HTTP is called by wrk, whose processor
time is not counted.
"""

import argparse
import asyncio
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from box import deploy, running_box
from handle_front import Ask, http_front
from processes import cpu_s, serving
from ray_chart import draw
from ray_cluster import Served, serve_application
from rich.console import Console
from rich.table import Table
from run import machine, sample
from wrk import Load, ensure_wrk, run_wrk

from edgefn.client.admin import AdminClient
from edgefn_runtime.codecs import tensor_map

FOLDER: Final = Path(__file__).resolve().parents[2] / "functions" / "diagnosis"
RESULTS: Final = Path(__file__).with_name("results")
CONNECTIONS: Final = (1, 32)
EDGEFN: Final = "edgefn"
RATE: Final = "calls/s, 32 connections"
WANTED: Final = 10.0

# A run, and the processor time that each of its calls took in microseconds.
Run = tuple[Load, float]
Found = dict[tuple[str, int], list[Run]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to call the function: by a URL, or by a handle. `pids` are of all that it takes."""

    pids: Sequence[int]
    url: str = ""
    ask: Ask | None = None

    async def run(self, body: bytes, connections: int, duration_s: float) -> Load:
        """Calls over and over, so many calls at once."""
        if self.ask is not None:
            return await run_tasks(self.ask, body, connections, duration_s)
        return await asyncio.to_thread(
            run_wrk, self.url, body, "application/msgpack", connections, duration_s
        )


async def run_tasks(ask: Ask, body: bytes, tasks: int, duration_s: float) -> Load:
    """Asks over and over in so many tasks, each one call at a time."""
    took_s: list[float] = []
    end_s = time.perf_counter() + duration_s

    async def go_on() -> None:
        while (start_s := time.perf_counter()) < end_s:
            await ask(body)
            took_s.append(time.perf_counter() - start_s)

    start_s = time.perf_counter()
    await asyncio.gather(*(go_on() for _ in range(tasks)))
    cuts = statistics.quantiles(took_s, n=100)
    return Load(
        calls_per_s=len(took_s) / (time.perf_counter() - start_s),
        p50_ms=cuts[49] * 1e3,
        p95_ms=cuts[94] * 1e3,
        p99_ms=cuts[98] * 1e3,
    )


async def run_rounds(ways: dict[str, Way], body: bytes, rounds: int, duration_s: float) -> Found:
    """Runs every way and number of connections, interleaved; the first round warms up."""
    found: Found = {}
    for turn in range(rounds + 1):
        for connections in CONNECTIONS:
            for name, way in ways.items():
                began_s = cpu_s(way.pids)
                load = await way.run(body, connections, duration_s)
                calls = load.calls_per_s * duration_s
                took_us = (cpu_s(way.pids) - began_s) / calls * 1e6
                found.setdefault((name, connections), []).append((load, took_us))
        print(f"round {turn} of {rounds} done", flush=True)
    return {key: runs[1:] for key, runs in found.items()}


async def measure(
    box: AdminClient, served: Served, body: bytes, rounds: int, duration_s: float
) -> Found:
    """Measures all ways."""
    by_value = served.handle.options(_by_reference=False)
    handle, grpc = served.handle.answer.remote, by_value.answer.remote
    async with http_front(handle) as front, http_front(grpc) as front_grpc:
        ways = {
            EDGEFN: Way(url=f"{box.url}/v1/functions/alike", pids=serving(box.status().pid)),
            "Serve's HTTP proxy": Way(url=served.url, pids=served.pids),
            "aiohttp and handle": Way(url=front, pids=served.pids),
            "aiohttp and gRPC handle": Way(url=front_grpc, pids=served.pids),
            "handle, no HTTP": Way(ask=handle, pids=served.pids),
            "gRPC handle, no HTTP": Way(ask=grpc, pids=served.pids),
        }
        return await run_rounds(ways, body, rounds, duration_s)


def summary(found: Found) -> list[dict[str, Any]]:
    """Returns the median of the rounds, a row a way and number of connections."""
    return [
        {
            "way": way,
            "connections": connections,
            **{
                key: statistics.median(asdict(load)[key] for load, _ in runs)
                for key in ("calls_per_s", "p50_ms", "p95_ms", "p99_ms")
            },
            "cpu_us": statistics.median(took_us for _, took_us in runs),
            "rounds": [[round(load.calls_per_s), load.p50_ms] for load, _ in runs],
        }
        for (way, connections), runs in found.items()
    ]


def ratios(found: Found) -> dict[str, dict[str, float]]:
    """Returns how a box stands to each other way, the median of the rounds, paired."""
    result = {}
    for way in dict.fromkeys(way for way, _ in found if way != EDGEFN):
        one = list(zip(found[EDGEFN, 1], found[way, 1], strict=True))
        many = list(zip(found[EDGEFN, 32], found[way, 32], strict=True))
        result[way] = {
            RATE: statistics.median(
                ours.calls_per_s / theirs.calls_per_s for (ours, _), (theirs, _) in many
            ),
            "p50, 1 connection": statistics.median(
                ours.p50_ms / theirs.p50_ms for (ours, _), (theirs, _) in one
            ),
            "processor time a call, 32 connections": statistics.median(
                ours / theirs for (_, ours), (_, theirs) in many
            ),
        }
    return result


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    table = Table("way", "connections", "calls/s", "p50 ms", "p95 ms", "p99 ms", "CPU us a call")
    for row in report["loads"]:
        latencies = (f"{row[key]:.2f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        rates = str(row["connections"]), f"{row['calls_per_s']:,.0f}"
        table.add_row(row["way"], *rates, *latencies, f"{row['cpu_us']:,.0f}")
    console.print(table)
    table = Table("edgefn, against", *next(iter(report["ratios"].values())), f">= {WANTED:g} x")
    for way, compared in report["ratios"].items():
        verdict = "[green]met" if compared[RATE] >= WANTED else "[red]missed"
        table.add_row(way, *(f"{value:.3g} x" for value in compared.values()), verdict)
    console.print(table)


def main() -> int:
    """Runs the bench, prints it, and writes it as JSON and as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="for a first look: writes nothing")
    quick = parser.parse_args().quick
    rounds, duration_s = (2, 2.0) if quick else (7, 4.0)
    ensure_wrk()
    body = msgspec.msgpack.encode({"features": tensor_map(sample())})
    with running_box() as box:
        deploy(box, FOLDER, **{"deadline_ms=100": 'name="alike", deadline_ms=5000'})
        with serve_application("serve_function:application", cpus=2) as served:
            found = uvloop.run(measure(box, served, body, rounds, duration_s))
    report = {
        "machine": machine() | {"ray": importlib.metadata.version("ray")},
        "loads": summary(found),
        "ratios": ratios(found),
    }
    show(report)
    if not quick:
        (RESULTS / "ray_serve.json").write_text(json.dumps(report, indent=2) + "\n")
        draw(report, RESULTS / "ray_serve.png")
        print(f"written to {RESULTS / 'ray_serve.json'} and ray_serve.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
