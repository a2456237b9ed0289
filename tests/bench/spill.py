"""What it is worth that a full tier asks the next one for replicas: `python tests/bench/spill.py`.

`examples/scenarios/spill.toml` in the simulator, with starts of 5, 10 and 20 s in the cloud; then
with the variant of the edge in the cloud, which has a replica of it already, as the edge itself
had to start at first. Each with the same calls while nobody tells the cloud anything. A minute of
processor time.
"""

import json
import platform
from pathlib import Path
from unittest.mock import patch

import msgspec

from edgefn.simulate.engine.reserves import Reserves
from edgefn.simulate.file import read_scenario
from edgefn.simulate.run import simulate
from edgefn.simulate.statistics import estimate

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results" / "spill.json"
BOOTS_S = (5.0, 10.0, 20.0)
SEEDS = range(5)


def with_variants(scenario, *variants):
    """Returns the scenario with other variants of its function."""
    (function,) = scenario.functions
    changed = msgspec.structs.replace(function, variants=variants)
    return msgspec.structs.replace(scenario, functions=(changed,))


def cases(scenario):
    """Yields what is measured, with its name."""
    edge, cloud = scenario.functions[0].variants
    for boot_s in BOOTS_S:
        slow = msgspec.structs.replace(cloud, load_s=boot_s)
        yield f"none, starts in {boot_s:g} s", with_variants(scenario, edge, slow)
    both = msgspec.structs.replace(edge, tiers=("edge", "cloud"), load_s=cloud.load_s)
    yield f"one, starts in {cloud.load_s:g} s", with_variants(scenario, both)


def measured(scenario):
    """Returns what became of the calls, and what it took."""
    runs = [simulate(scenario, seed=seed) for seed in SEEDS]
    in_time = estimate([100.0 * run.attainment for run in runs])
    replicas = estimate([run.replica_s for run in runs])
    return {
        "in_time_percent": [round(in_time.mean, 2), round(in_time.reach, 2)],
        "replica_s": [round(replicas.mean, 1), round(replicas.reach, 1)],
    }


def main():
    scenario = read_scenario(ROOT / "examples/scenarios/spill.toml")
    rows = {}
    for name, case in cases(scenario):
        with patch.object(Reserves, "tell"):
            without = measured(case)
        rows[name] = {"with": measured(case), "without": without}
    heads = ("replicas in the cloud before", *2 * ("in time", "replica-seconds"))
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|")
    for name, row in rows.items():
        cells = [
            "{:.2f} ± {:.2f} %".format(*one["in_time_percent"])
            + " | {:.0f} ± {:.0f}".format(*one["replica_s"])
            for one in (row["with"], row["without"])
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    kept = {"python": platform.python_version(), "seeds": len(SEEDS), "cases": rows}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
