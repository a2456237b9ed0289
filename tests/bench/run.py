"""Compares a box with the bare backend and with plain aiohttp, side by side in one run.

    make bench                  about three minutes
    make bench ARGS=--quick     half a minute, for a first look

`--compiled FOLDER`, which `make bench` says, has the box run as a wheel has it.

Absolute times vary from machine to machine: the ratios are what to read. All of a round's runs
follow each other at once, and rounds are repeated, so that a noisy machine hits all alike.

The box serves the function twice: as it is shipped, with its preferred variant, and like for like,
with the very model file that the plain servers run.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from box import deploy, plain_server, running_box
from chart import draw
from plain import load
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from wrk import Load, ensure_wrk, run_wrk

from edgefn import Client
from edgefn.client.admin import AdminClient
from edgefn_runtime.codecs import tensor_map

FOLDER = Path(__file__).resolve().parents[2] / "functions" / "diagnosis"
RESULTS = Path(__file__).with_name("results")
CONNECTIONS = (1, 32)
SHIPPED, ALIKE, PLAIN, BARE = (
    "edgefn", "edgefn, same model file", "plain aiohttp", "bare aiohttp handler",
)  # fmt: skip
BARS = {
    "p50 above plain aiohttp, 1 connection": ("ms", 0.15, "at most"),
    "the same with the same model file": ("ms", 0.15, "at most"),
    "calls/s over plain aiohttp, 32 connections": ("x", 1.5, "at least"),
    "the same ratio with the same model file": ("x", 1.5, "at least"),
    "cold start p50": ("ms", 50.0, "at most"),
    "private memory of an idle replica": ("MB", 15.0, "at most"),
}


def bare_loop(duration_s: float) -> dict[str, float]:
    """Calls the backend alone, then the function alone, in a loop of this process."""
    function = load(FOLDER)
    row = sample()
    function([row])
    model = function._load_models()["model"]
    batch = row[None]
    return {
        "backend_us": _microseconds(lambda: model(batch), duration_s),
        "function_us": _microseconds(lambda: function([row]), duration_s),
    }


def _microseconds(call: Callable[[], Any], duration_s: float) -> float:
    durations, end = [], time.perf_counter() + duration_s
    while (start := time.perf_counter()) < end:
        call()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations) * 1e6


def sample() -> np.ndarray[Any, Any]:
    """Returns the features of one sample call."""
    path = sorted((FOLDER / "samples").glob("*.json"))[0]
    return np.array(json.loads(path.read_text())["features"], dtype=np.float32)


def load_rounds(
    urls: dict[str, str], rounds: int, duration_s: float
) -> dict[tuple[str, str, int], list[Load]]:
    """Runs every server, encoding and number of connections, interleaved."""
    bodies = {
        "msgpack": msgspec.msgpack.encode({"features": tensor_map(sample())}),
        "json": msgspec.json.encode({"features": sample().tolist()}),
    }
    found: dict[tuple[str, str, int], list[Load]] = {}
    with Progress(transient=True) as progress:
        total = rounds * len(bodies) * len(CONNECTIONS) * len(urls)
        bar = progress.add_task("load", total=total)
        for _ in range(rounds):
            for encoding, body in bodies.items():
                for connections in CONNECTIONS:
                    for server, url in urls.items():
                        load = run_wrk(
                            url, body, f"application/{encoding}", connections, duration_s
                        )
                        found.setdefault((server, encoding, connections), []).append(load)
                        progress.advance(bar)
    return found


def cold_starts(admin: AdminClient, count: int) -> list[float]:
    """Measures the first call of a function that has no replica, again and again, in ms."""
    deploy(admin, FOLDER, **{"deadline_ms=100": 'name="cold", scale=(0, 1, 0.2), deadline_ms=5000'})
    durations = []
    with Client(admin.url) as client, Progress(transient=True) as progress:
        for _ in progress.track(range(count), description="cold starts"):
            while admin.function("cold").replicas:
                time.sleep(0.05)
            start = time.perf_counter()
            client.call("cold", features=sample())
            durations.append((time.perf_counter() - start) * 1e3)
    return durations


def idle_private_mb(admin: AdminClient) -> float:
    """Returns the private memory of a fresh replica that has answered a call and rests."""
    deploy(admin, FOLDER, **{"deadline_ms=100": 'name="idle", deadline_ms=5000'})
    with Client(admin.url) as client:
        client.call("idle", features=sample())
    return max(replica.private_bytes for replica in admin.function("idle").replicas) / 1e6


def machine() -> dict[str, Any]:
    """Says what all this ran on."""
    packages = ("edgefn", "aiohttp", "uvloop", "onnxruntime", "numpy", "msgspec", "pydantic")
    model = "unknown"
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def summary(found: dict[tuple[str, str, int], list[Load]]) -> list[dict[str, Any]]:
    """Returns the median of the rounds, a row a server, encoding and number of connections."""
    return [
        {
            "server": server,
            "encoding": encoding,
            "connections": connections,
            "calls_per_s": statistics.median(load.calls_per_s for load in loads),
            "p50_ms": statistics.median(load.p50_ms for load in loads),
            "p95_ms": statistics.median(load.p95_ms for load in loads),
            "p99_ms": statistics.median(load.p99_ms for load in loads),
            "rounds": [[round(load.calls_per_s), load.p50_ms] for load in loads],
        }
        for (server, encoding, connections), loads in found.items()
    ]


def ratios(found: dict[tuple[str, str, int], list[Load]]) -> dict[str, float]:
    """Returns how a box stands to each other server, paired by round."""
    result = {}
    for (server, encoding, connections), loads in found.items():
        for ours in (SHIPPED, ALIKE):
            if server in (SHIPPED, ALIKE):
                continue
            pairs = list(zip(found[ours, encoding, connections], loads, strict=True))
            key = f"{encoding}, {connections} connections, {ours} against {server}"
            result[f"calls/s ratio, {key}"] = statistics.median(
                one.calls_per_s / other.calls_per_s for one, other in pairs
            )
            result[f"p50 difference in ms, {key}"] = statistics.median(
                one.p50_ms - other.p50_ms for one, other in pairs
            )
    return result


def bars(compared: dict[str, float], cold: list[float], private_mb: float) -> dict[str, float]:
    """Returns what is measured of each of `BARS`."""
    above = "p50 difference in ms, msgpack, 1 connections, {} against " + PLAIN
    over = "calls/s ratio, msgpack, 32 connections, {} against " + PLAIN
    measured = (
        compared[above.format(SHIPPED)], compared[above.format(ALIKE)],
        compared[over.format(SHIPPED)], compared[over.format(ALIKE)],
        statistics.median(cold), private_mb,
    )  # fmt: skip
    return dict(zip(BARS, measured, strict=True))


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    table = Table("server", "encoding", "connections", "calls/s", "p50 ms", "p95 ms", "p99 ms")
    for row in report["loads"]:
        table.add_row(
            row["server"], row["encoding"], str(row["connections"]), f"{row['calls_per_s']:,.0f}",
            *(f"{row[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms")),
        )  # fmt: skip
    console.print(table)
    loop = report["bare_loop"]
    console.print(
        f"bare backend {loop['backend_us']:.1f} us a call, function alone "
        f"{loop['function_us']:.1f} us; cold starts p50 {report['cold_start_ms']['p50']:.1f} ms, "
        f"max {report['cold_start_ms']['max']:.1f} ms of {report['cold_start_ms']['count']}"
    )
    for name, value in report["ratios"].items():
        console.print(f"  {name}: {value:.3f}")
    table = Table("bar", "measured", "wanted", "")
    for name, value in report["bars"].items():
        unit, limit, sense = BARS[name]
        met = value <= limit if sense == "at most" else value >= limit
        verdict = "[green]met" if met else "[red]missed"
        table.add_row(name, f"{value:.3f} {unit}", f"{sense} {limit} {unit}", verdict)
    console.print(table)


def main() -> int:
    """Runs the bench, prints it and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--compiled", type=Path, help="what hatch_build.py compiled, for the box")
    options = parser.parse_args()
    quick, compiled = options.quick, options.compiled
    environ = {} if compiled is None else {"PYTHONPATH": str(compiled.absolute())}
    rounds, duration_s, starts = (2, 1.0, 5) if quick else (7, 3.0, 30)
    ensure_wrk()
    with (
        running_box(**environ) as admin,
        plain_server(FOLDER, "application") as application,
        plain_server(FOLDER, "low-level") as low_level,
    ):
        deploy(admin, FOLDER)
        deploy(admin, FOLDER, **{"deadline_ms=100": 'name="alike", deadline_ms=100'})
        path = "/v1/functions/"
        urls = {
            SHIPPED: f"{admin.url}{path}diagnosis",
            ALIKE: f"{admin.url}{path}alike",
            PLAIN: f"{application}{path}diagnosis",
            BARE: f"{low_level}{path}diagnosis",
        }
        for url in urls.values():  # warm up: the first calls of a process are not its usual ones
            body = msgspec.json.encode({"features": sample().tolist()})
            run_wrk(url, body, "application/json", 4, 1.0)
        loop = bare_loop(duration_s)
        found = load_rounds(urls, rounds, duration_s)
        cold = cold_starts(admin, starts)
        compared = ratios(found)
        report = {
            "machine": machine(),
            "compiled": compiled is not None,
            "bare_loop": loop,
            "loads": summary(found),
            "ratios": compared,
            "cold_start_ms": {
                "p50": statistics.median(cold),
                "max": max(cold),
                "count": len(cold),
            },
            "variants": {
                name: next(one.name for one in admin.function(name).variants if one.default)
                for name in ("diagnosis", "alike")
            },
            "bars": bars(compared, cold, idle_private_mb(admin)),
        }
    show(report)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report['machine']['at'].replace(':', '')}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    draw(report, path.with_suffix(".png"))
    print(f"written to {path} and {path.with_suffix('.png').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
