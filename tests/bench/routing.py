"""What a decision and an observation of the router cost: `python tests/bench/routing.py`.

A box with four servers that each serve two variants, and two accelerators elsewhere that serve two
more: 12 candidates for each call. In the easy case all could answer in time, so that the search for
the best ends early; in the hard one none is certain, and all are weighed. With `--compiled FOLDER`
the same again, as `python hatch_build.py FOLDER` has compiled it.
"""

import argparse
import heapq
import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from compiled import run_compiled

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.routing.events import Answered, Connected, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place

RESULTS = Path(__file__).parent / "results" / "routing.json"
CALLS = 20_000
ROUNDS = 7
RUNS_S = {"int8": 0.012, "fp32": 0.038, "cloud": 0.0062, "split": 0.0049}


@dataclass(slots=True)
class Call:
    deadline_s: float | None
    function: str = "f"
    choice: Choice | None = None
    size_bytes: int = 50_000
    priority: int = 5
    hops: int = 0
    idempotent: bool = True


def half() -> float:
    return 0.5


def make_router() -> Router:
    """Returns a router with 12 connected candidates for function `f`."""

    def endpoints(variant: str, place: str, servers: int) -> tuple[DeployedEndpoint, ...]:
        return tuple(
            DeployedEndpoint(
                name=f"{place}{n}/{variant}", place=place, server=f"{place}{n}", replicas=1
            )
            for n in range(servers)
        )

    def variant(name: str, place: str, servers: int, **known: float) -> DeployedVariant:
        why = "" if not place else "it needs an accelerator"
        found = endpoints(name, place, servers)
        return DeployedVariant(name=name, endpoints=found, unavailable=why, **known)  # type: ignore[arg-type]

    deployment = Deployment(
        name="f",
        revision=1,
        default="int8",
        idempotent=True,
        min_accuracy=0.7,
        max_batch=16,
        variants=(
            variant("int8", "", 4, accuracy=0.705, fixed_s=0.002, each_s=0.01, cost=0.05),
            variant("fp32", "", 4, accuracy=0.76, fixed_s=0.004, each_s=0.034, cost=0.17),
            variant("cloud", "cloud", 2, accuracy=0.8, fixed_s=0.005, each_s=0.0012, cost=0.6),
            variant("split", "cloud", 2, accuracy=0.785, fixed_s=0.004, each_s=0.0009, cost=0.4),
        ),
    )
    router = Router(max_outstanding=10**9)
    places = (Place(), Place(name="cloud", tier="cloud"))
    router.observe(0.0, TableChanged((deployment,), places))
    for one in deployment.variants:
        for endpoint in one.endpoints:
            router.observe(0.0, Connected(endpoint.name))
    return router


def measure(budget_s: float, gap_s: float) -> tuple[float, float, float]:
    """Returns microseconds a decision, an observation, and the share of calls sent.

    Each server answers what it is sent in turn, in the time that the router expects.
    """
    router, tick = make_router(), time.perf_counter_ns
    now_s, sent, decided_ns, observed_ns = 0.0, 0, 0, 0
    coming: list[tuple[float, int, Answered]] = []
    free_s: dict[str, float] = {}
    for number in range(CALLS):
        now_s += gap_s
        while coming and coming[0][0] <= now_s:
            at_s, _, event = heapq.heappop(coming)
            began_ns = tick()
            router.observe(at_s, event)
            observed_ns += tick() - began_ns
        call = Call(now_s + budget_s)
        began_ns = tick()
        decision = router.decide(now_s, call, half)
        decided_ns += tick() - began_ns
        if isinstance(decision, Send):
            sent += 1
            server = decision.endpoint.split("/")[0]
            starts_s = max(now_s, free_s.get(server, 0.0))
            run_s = RUNS_S[decision.variant]
            free_s[server] = starts_s + run_s
            answered = Answered(decision, starts_s - now_s, run_s, 0.0, 1)
            heapq.heappush(coming, (starts_s + run_s + 0.002, number, answered))
    began_ns = tick()
    for _ in range(CALLS):
        tick()
    clock_ns = tick() - began_ns
    return (
        (decided_ns - clock_ns) / CALLS / 1000,
        (observed_ns / max(1, sent) - clock_ns / CALLS) / 1000,
        sent / CALLS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiled", type=Path, metavar="FOLDER", help="from hatch_build.py: too")
    parser.add_argument("--json", action="store_true", help="only print the results")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(_measured()))
        return
    results: dict[str, object] = {"python": platform.python_version(), "machine": _machine()}
    results["interpreted"] = _measured()
    if options.compiled:
        results["compiled"] = run_compiled(__file__, options.compiled)
    print("| as | case | decision, us | observation, us | calls sent |")
    print("|---|---|---:|---:|---:|")
    for kind in ("interpreted", "compiled"):
        for case, one in results.get(kind, {}).items():  # type: ignore[attr-defined]
            print(
                f"| {kind} | {case} | {one['decide_us']:.2f} | {one['observe_us']:.2f} | "
                f"{one['sent']:.0%} |"
            )
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _measured() -> dict[str, dict[str, float]]:
    """Returns what each case costs in this process."""
    results = {}
    for name, budget_s, gap_s in (("easy", 0.5, 0.005), ("hard", 0.05, 0.002)):
        rounds = [measure(budget_s, gap_s) for _ in range(ROUNDS)]
        decide_us = min(one[0] for one in rounds)  # the others were disturbed
        observe_us = min(one[1] for one in rounds)
        share = rounds[0][2]
        results[name] = {
            "candidates": 12,
            "decide_us": round(decide_us, 2),
            "observe_us": round(observe_us, 2),
            "sent": round(share, 3),
        }
    return results


def _machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
