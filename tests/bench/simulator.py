"""How fast the simulator is: `python tests/bench/simulator.py`.

Scenario A (3 sites of 4 boxes, 2 accelerators), by processor time of this process: with the
production router; with a policy that does nothing but send, which leaves the engine and the
production queues; and the making of the calls alone. The difference is what the router takes.
"""

import json
import platform
import time
from itertools import cycle
from math import inf
from pathlib import Path

import msgspec

from edgefn.routing.decisions import Send
from edgefn.routing.events import TableChanged
from edgefn.routing.table import HERE
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.file import read_scenario
from edgefn.simulate.run import simulate
from edgefn.simulate.workload import arrivals

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results" / "simulator.json"
DURATION_S = 30.0
ROUNDS = 3
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
    scenario = read_scenario(ROOT / "examples" / "scenarios" / "scenario_a.toml")
    scenario = msgspec.structs.replace(scenario, duration_s=DURATION_S)
    POLICIES[NOTHING] = lambda site, oracle: Nothing()
    calls = sum(1 for _ in arrivals(scenario, seed=1))
    parts = {"calls alone": min(_arrivals_s(scenario) for _ in range(ROUNDS))}
    results: dict[str, object] = {"python": platform.python_version(), "calls": calls}
    events = {}
    for name, policy in (("engine and queues", NOTHING), ("with the router", "edgefn")):
        spent = [_simulation(scenario, policy) for _ in range(ROUNDS)]
        parts[name] = min(one[0] for one in spent)  # the others were disturbed
        events[name] = spent[0][1]
    print("| part | us a call | calls/s | events/s |")
    print("|---|---:|---:|---:|")
    for name, took_s in parts.items():
        per_s = round(events[name] / took_s) if name in events else None
        results[name] = {
            "us_a_call": round(took_s / calls * 1e6, 2),
            "calls_per_s": round(calls / took_s),
            "events_per_s": per_s,
        }
        print(f"| {name} | {took_s / calls * 1e6:.1f} | {calls / took_s:,.0f} | {per_s or 0:,} |")
    reached = calls / parts["with the router"]
    results["target_calls_per_s"] = TARGET_CALLS_PER_S
    print(f"\n{reached / TARGET_CALLS_PER_S:.0%} of the {TARGET_CALLS_PER_S:,} calls/s aimed at")
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _arrivals_s(scenario) -> float:
    began_s = time.process_time()
    for _ in arrivals(scenario, seed=1):
        pass
    return time.process_time() - began_s


def _simulation(scenario, policy) -> tuple[float, int]:
    began_s = time.process_time()
    result = simulate(scenario, policy=policy, seed=1)
    return time.process_time() - began_s, result.events


if __name__ == "__main__":
    main()
