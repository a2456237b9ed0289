"""Draws the comparison with Ray Serve: calls a second and latency of each way.

python tests/bench/ray_chart.py REPORT.json PICTURE.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    figure, (rates, latencies) = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained")
    _bars(rates, report["loads"], 32, ("calls_per_s",), "calls/s, 32 at once (more is better)")
    _bars(
        latencies, report["loads"], 1, ("p50_ms", "p99_ms"),
        "ms, one at a time: p50, and pale p99 (less is better)",
    )  # fmt: skip
    cores = report["machine"]["cores"]
    figure.suptitle(f"diagnosis on {cores} cores, load generator on the same ones", fontsize=11)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _bars(
    axes: Any, loads: list[dict[str, Any]], connections: int, keys: tuple[str, ...], title: str
) -> None:
    rows = [row for row in reversed(loads) if row["connections"] == connections]
    names = [row["way"] for row in rows]
    colours = ["#1f6feb" if name.startswith("edgefn") else "#8c959f" for name in names]
    for key in reversed(keys):
        alpha = 1.0 if key == keys[0] else 0.35
        bars = axes.barh(names, [row[key] for row in rows], color=colours, alpha=alpha)
        axes.bar_label(bars, fmt="{:,.0f}" if key == "calls_per_s" else "{:.2f}", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
