"""Draws a bench report: calls a second and latency, each server beside the others.

python tests/bench/chart.py REPORT.json PICTURE.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

_COLOURS = {
    "edgefn": "#1f6feb",
    "edgefn, same model file": "#79b8ff",
    "plain aiohttp": "#8c959f",
    "bare aiohttp handler": "#d0d7de",
}


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    figure, (rates, latencies) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    _bars(rates, report["loads"], 32, "calls_per_s", "calls/s, 32 connections (more is better)")
    _bars(latencies, report["loads"], 1, "p50_ms", "p50 in ms, 1 connection (less is better)")
    machine = report["machine"]
    figure.suptitle(f"diagnosis on {machine['cores']} cores, load generator on the same ones")
    handles, labels = rates.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _bars(axes: Any, loads: list[dict[str, Any]], connections: int, key: str, title: str) -> None:
    encodings = ("msgpack", "json")
    for place, (server, colour) in enumerate(_COLOURS.items()):
        values = [
            row[key]
            for encoding in encodings
            for row in loads
            if (row["server"], row["encoding"], row["connections"])
            == (server, encoding, connections)
        ]
        positions = [index + (place - 1.5) * 0.2 for index in range(len(encodings))]
        bars = axes.bar(positions, values, width=0.19, color=colour, label=server)
        axes.bar_label(bars, fmt="{:,.0f}" if key == "calls_per_s" else "{:.2f}", fontsize=8)
    axes.set_xticks(range(len(encodings)), encodings)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
