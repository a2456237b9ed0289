"""Simulates 1,000 boxes and 100 functions, and measures what grows with the fleet.

    python tests/bench/fleet_scale.py

The same load a site on fleets of growing size, each in a process of its own: calls simulated a
second, and peak memory. Then one router alone, for what an endpoint of its table costs in memory
and in time. Writes results/fleet_scale.json; docs/scale.md reads it.
"""

import argparse
import json
import multiprocessing
import resource
import time
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from edgefn.gateway.peer_wire import OfferedFunction, OfferedVariant, Summary, encode_summary
from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.routing.events import Answered, Connected, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place
from edgefn.simulate.file import read_scenario
from edgefn.simulate.run import simulate

RESULTS = Path(__file__).with_name("results")
SCENARIO = Path(__file__).parents[2] / "examples" / "scenarios" / "thousand_boxes.toml"
SITES = (25, 100, 250)  # of four boxes
DURATION_S = 20.0
LONGER_S = (40.0, 80.0)  # at the largest: memory must not grow with time
FUNCTIONS = (10, 100)
CALLS = 20_000


def fleet(sites: int, duration_s: float) -> dict[str, Any]:
    """Simulates a fleet of so many sites."""
    scenario = read_scenario(SCENARIO)
    shops, cloud = scenario.sites
    boxes = sum(each.count for each in shops.boxes)
    scenario = msgspec.structs.replace(
        scenario,
        sites=(msgspec.structs.replace(shops, count=sites), cloud),
        duration_s=duration_s,
    )
    before = _peak_mb()
    started = time.perf_counter()
    result = simulate(scenario, policy="edgefn", queue="edf", seed=1)
    took_s = time.perf_counter() - started
    return {
        "boxes": sites * boxes,
        "functions": len(scenario.functions),
        "duration_s": duration_s,
        "calls": result.calls,
        "slo": round(100.0 * result.attainment, 2),
        "events": result.events,
        "took_s": round(took_s, 1),
        "events_per_s": round(result.events / took_s),
        "peak_mb": round(_peak_mb()),
        "before_mb": round(before),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass
class Call:
    """As little as a router wants to know."""

    function: str
    deadline_s: float | None
    choice: Choice | None = None
    size_bytes: int = 20_000
    priority: int = 5
    hops: int = 0
    idempotent: bool = True


def table(functions: int) -> TableChanged:
    """Returns what the gateway of a site of four boxes has, with two near sites and a cloud."""
    near = [DeployedEndpoint(name=f"int8@{box}", server=f"box-{box}") for box in range(4)]
    peers = [DeployedEndpoint(name=f"int8@{name}", place=name, server=name) for name in "ab"]
    far = DeployedEndpoint(name="fp32@cloud", place="cloud", server="cloud", replicas=16)
    return TableChanged(
        tuple(
            Deployment(
                name=f"f{number}",
                revision=1,
                default="int8",
                variants=(
                    _variant("int8", 0.72, 0.002, 0.01, _of(number, near + peers)),
                    _variant("fp32", 0.8, 0.005, 0.0012, _of(number, [far])),
                ),
            )
            for number in range(functions)
        ),
        (Place(), Place(name="a"), Place(name="b"), Place(name="cloud", tier="cloud")),
    )


def _of(number: int, endpoints: list[DeployedEndpoint]) -> tuple[DeployedEndpoint, ...]:
    return tuple(msgspec.structs.replace(one, name=f"f{number}/{one.name}") for one in endpoints)


def _variant(
    name: str, accuracy: float, fixed_s: float, each_s: float, at: tuple[DeployedEndpoint, ...]
) -> DeployedVariant:
    return DeployedVariant(
        name=name, accuracy=accuracy, fixed_s=fixed_s, each_s=each_s, endpoints=at
    )


def gateway(functions: int) -> dict[str, Any]:
    """Measures one router: memory of its table, microseconds of a decision and its answer."""
    tracemalloc.start()
    router = _connected(functions)
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    router = _connected(functions)
    rng = Random(1)
    now_s = 0.0
    started = time.perf_counter()
    for number in range(CALLS):
        now_s += 0.02
        call = Call(function=f"f{number % functions}", deadline_s=now_s + 0.2)
        decision = router.decide(now_s, call, rng.random)
        if isinstance(decision, Send):
            answer = Answered(send=decision, queue_s=0.0, service_s=0.012, backlog_s=0.0, batch=1)
            router.observe(now_s + 0.016, answer)
    took_s = time.perf_counter() - started
    endpoints = 7 * functions
    return {
        "functions": functions,
        "endpoints": endpoints,
        "table_kb": round(size_bytes / 1024),
        "bytes_per_endpoint": round(size_bytes / endpoints),
        "us_per_call": round(took_s / CALLS * 1e6, 1),
        "summary_bytes": len(encode_summary(_summary(functions))),
    }


def _summary(functions: int) -> Summary:
    digest = "0" * 64
    return Summary(
        tuple(
            OfferedFunction(
                f"f{number}",
                digest,
                (OfferedVariant(name="onnx-int8-static", replicas=4, backlog_s=0.0123),),
            )
            for number in range(functions)
        )
    )


def _connected(functions: int) -> Router:
    changed = table(functions)
    router = Router()
    router.observe(0.0, changed)
    for deployment in changed.deployments:
        for variant in deployment.variants:
            for endpoint in variant.endpoints:
                router.observe(0.0, Connected(endpoint.name))
    return router


def main() -> None:
    """Measures all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, nargs="*", default=SITES)
    options = parser.parse_args()
    cases = [(sites, DURATION_S) for sites in options.sites]
    cases += [(max(options.sites), duration_s) for duration_s in LONGER_S]
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "gateways": [gateway(functions) for functions in FUNCTIONS],
        "fleets": [],
    }
    print(json.dumps(found["gateways"], indent=1))
    for case in cases:  # a process each: peak memory is of a process
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found["fleets"].append(pool.apply(fleet, case))
        print(json.dumps(found["fleets"][-1]))
    RESULTS.joinpath("fleet_scale.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
