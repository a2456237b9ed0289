"""How fast the simulator is: `python tests/bench/simulator.py [--compiled FOLDER]`.

Scenario A (3 sites of 4 boxes, 2 accelerators), by processor time of this process: with the
production router; with a policy that does nothing but send, which leaves the engine and the
production queues; and the making of the calls alone. The difference is what the router takes.
"""

import argparse
import json
import os
import platform
import time
from itertools import cycle
from math import inf
from pathlib import Path

import msgspec
from compiled import run_compiled

from edgefn.routing.decisions import Send
from edgefn.routing.events import TableChanged
from edgefn.routing.table import HERE
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.file import read_scenario
from edgefn.simulate.run import simulate
from edgefn.simulate.workload import arrivals

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results" / "simulator.json"
DURATION_S = 20.0
ROUNDS = 8
NOTHING = "nothing"
TARGET_CALLS_PER_S = 60_000


class Nothing:
    """Sends each call to the next box of its site, and listens to nothing."""

    def __init__(self):
        self._next = {}

    def decide(self, now_s, call, rng):
        send = Send()
        send.endpoint, send.variant, send.place = next(self._next[call.function])
        send.purpose, send.sent_s, send.size_bytes = "first", now_s, call.size_bytes
        send.deadline_s = inf if call.deadline_s is None else call.deadline_s
        send.network_s = send.cold_s = send.wait_s = send.service_s = send.sd_s = 0.0
        send.bound_s = send.chance = send.work_s = 0.0
        send.hedge_at_s, send.degraded, send.ledger = inf, False, None
        return send

    def hedge(self, now_s, call, first, rng):
        return None

    def observe(self, now_s, event):
        if type(event) is TableChanged:
            for deployment in event.deployments:
                first = deployment.variants[0]
                here = [(one.name, first.name, HERE) for one in first.endpoints if not one.place]
                self._next[deployment.name] = cycle(here)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiled", type=Path, metavar="FOLDER", help="from hatch_build.py: too")
    parser.add_argument("--json", action="store_true", help="only print the results")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(_measured()))
        return
    results: dict[str, object] = {
        "python": platform.python_version(),
        "load_of_the_machine": os.getloadavg()[0],
        "target_calls_per_s": TARGET_CALLS_PER_S,
        "interpreted": _measured(),
    }
    if options.compiled:
        results["compiled"] = run_compiled(__file__, options.compiled)
    print("| as | part | us a call | calls/s | events/s |")
    print("|---|---|---:|---:|---:|")
    for kind in ("interpreted", "compiled"):
        for part, one in results.get(kind, {"parts": {}})["parts"].items():  # type: ignore[index]
            print(
                f"| {kind} | {part} | {one['us_a_call']:.1f} | {one['calls_per_s']:,} | "
                f"{one['events_per_s']:,} |"
            )
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _measured() -> dict[str, object]:
    """Returns what each part costs in this process."""
    scenario = read_scenario(ROOT / "examples" / "scenarios" / "scenario_a.toml")
    scenario = msgspec.structs.replace(scenario, duration_s=DURATION_S)
    POLICIES[NOTHING] = lambda site, oracle: Nothing()
    calls = sum(1 for _ in arrivals(scenario, seed=1))
    parts = {"calls alone": _part(calls, min(_arrivals_s(scenario) for _ in range(ROUNDS)), 0)}
    result = None
    for name, policy in (("engine and queues", NOTHING), ("with the router", "edgefn")):
        took_s = inf
        for _ in range(ROUNDS):
            began_s = time.process_time()
            result = simulate(scenario, policy=policy, seed=1)
            took_s = min(took_s, time.process_time() - began_s)  # the others were disturbed
        parts[name] = _part(calls, took_s, result.events)
    return {"calls": calls, "decisions": result.decisions, "parts": parts}


def _part(calls: int, took_s: float, events: int) -> dict[str, float]:
    return {
        "us_a_call": round(took_s / calls * 1e6, 2),
        "calls_per_s": round(calls / took_s),
        "events_per_s": round(events / took_s),
    }


def _arrivals_s(scenario) -> float:
    began_s = time.process_time()
    for _ in arrivals(scenario, seed=1):
        pass
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
