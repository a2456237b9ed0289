"""Draws what being in a fleet costs a call: each round's ratio to the lone box.

python tests/bench/fleet_chart.py REPORT.json PICTURE.png
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    rows = [
        (f"{box}: {what}", values)
        for box, compared in report["ratios"].items()
        for what, values in compared.items()
    ]
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.42 * len(rows)), layout="constrained")
    for place, (_, values) in enumerate(reversed(rows)):
        axes.plot(values, [place] * len(values), "o", color="#1f6feb", alpha=0.35, markersize=5)
        axes.plot(statistics.median(values), place, "|", color="#d9661f", markersize=16, mew=2.5)
    axes.axvline(1.0, color="#8c959f", linewidth=1)
    axes.axvline(1.15, color="#57606a", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
    axes.set_xlabel("times the lone box's, by round; bar: median; dashed: what p50 may be")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
