"""Draws the report of scenario A: calls in time of each policy by load, and by burstiness.

python tests/bench/scenario_a_chart.py REPORT.json PICTURE.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

_OURS, _BOUND = "edgefn", "perfect"
_COLOURS = {_OURS: "#1f6feb", _BOUND: "#8c959f"}
_OTHER = "#d0d7de"


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    figure, (once, twice, bursts) = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    _loads(once, report["rows"], 1.0)
    _loads(twice, report["rows"], 2.0)
    _bursts(bursts, report["rows"])
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _loads(axes: Any, rows: list[dict[str, Any]], load: float) -> None:
    here = {
        (one["policy"], one["queue"]): one for one in rows if (one["load"], one["cv"]) == (load, 2)
    }
    names = sorted({name for name, _ in here}, key=lambda name: here[name, "edf"]["slo"]["mean"])
    values = [here[name, "edf"]["slo"]["mean"] for name in names]
    bars = axes.barh(names, values, color=[_COLOURS.get(name, _OTHER) for name in names])
    axes.bar_label(bars, fmt="%.1f", fontsize=8)
    own = [here[name, "fifo"]["slo"]["mean"] for name in names]
    axes.plot(own, names, "k|", markersize=9, label="with FIFO queues, no drop")
    axes.set_xlim(0, 112)
    axes.set_title(f"calls in time, %, at {load:g}x load", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _bursts(axes: Any, rows: list[dict[str, Any]]) -> None:
    here = [one for one in rows if (one["load"], one["queue"]) == (1.0, "edf")]
    for name in dict.fromkeys(one["policy"] for one in here):
        mine = sorted((one["cv"], one["slo"]["mean"]) for one in here if one["policy"] == name)
        known = name in _COLOURS or name == "infaas_cheapest"
        axes.plot(
            [cv for cv, _ in mine],
            [100.0 - value for _, value in mine],
            marker="o",
            markersize=4,
            color=_COLOURS.get(name, "#bf8700" if known else _OTHER),
            label=name if known else None,
            zorder=3 if known else 1,
        )
    axes.set_yscale("log")
    axes.set_title("calls missed, %, at 1x load by burstiness (CV)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
