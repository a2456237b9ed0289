"""What it is worth that a full tier asks the next one for replicas: `python tests/bench/spill.py`.

`examples/scenarios/spill.toml` in the simulator, with starts of 5, 10 and 20 s in the cloud, and
the same calls with nobody telling the cloud anything. About a minute.
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


def with_boot(scenario, boot_s):
    """Returns the scenario with another time that replicas take to start in the cloud."""
    (function,) = scenario.functions
    variants = tuple(
        msgspec.structs.replace(one, load_s=boot_s) if "cloud" in one.tiers else one
        for one in function.variants
    )
    return msgspec.structs.replace(
        scenario, functions=(msgspec.structs.replace(function, variants=variants),)
    )


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
    for boot_s in BOOTS_S:
        case = with_boot(scenario, boot_s)
        with patch.object(Reserves, "tell"):
            without = measured(case)
        rows[f"{boot_s:g}"] = {"with": measured(case), "without": without}
    print("| start in the cloud | in time | replica-seconds | without: in time | replica-seconds |")
    print("|---|---|---|---|---|")
    for boot_s, row in rows.items():
        cells = [
            "{:.2f} ± {:.2f} %".format(*one["in_time_percent"])
            + " | {:.0f} ± {:.0f}".format(*one["replica_s"])
            for one in (row["with"], row["without"])
        ]
        print(f"| {boot_s} s | {' | '.join(cells)} |")
    kept = {"python": platform.python_version(), "seeds": len(SEEDS), "boots_s": rows}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
