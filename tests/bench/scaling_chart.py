"""Draws a report of `scaling.py`: what each rule attains, and what it pays for that."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

_OURS, _RAY, _TARGETS = "#1f6feb", "#d29922", "#8c959f"


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    kinds = sorted({(run["boot_s"], run["cv"]) for run in report["runs"]})
    figure, axes = plt.subplots(1, len(kinds), figsize=(13, 3.8), layout="constrained")
    for plot, (boot_s, cv) in zip(axes, kinds, strict=True):
        runs = [run for run in report["runs"] if (run["boot_s"], run["cv"]) == (boot_s, cv)]
        targets = [run for run in runs if run["rule"].startswith("concurrency")]
        targets.sort(key=lambda run: run["replicas"])
        _line(plot, targets, _TARGETS, "target of concurrency, 0.25 to 1.2", "-o")
        _line(plot, [run for run in runs if run["rule"] == "envelope"], _OURS, "envelope", "D")
        tuned = [run for run in runs if run["rule"] == "Ray Serve, tuned"]
        _line(plot, tuned, _RAY, "Ray Serve, tuned", "s")
        plot.axhline(99.4, color="#d0d7de", linewidth=0.8, zorder=0)
        plot.set_title(f"boot {boot_s:g} s, CV {cv:g}", fontsize=10)
        plot.set_xlabel("mean replicas (less is better)")
        plot.set_ylim(min(95.0, 100 * min(run["attained"] for run in targets)), 100.1)
        plot.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("calls in time, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _line(plot: Any, runs: list[dict[str, Any]], colour: str, label: str, style: str) -> None:
    replicas = [run["replicas"] for run in runs]
    attained = [100 * run["attained"] for run in runs]
    reach = [100 * run["attained_reach"] for run in runs]
    plot.errorbar(
        replicas,
        attained,
        reach,
        fmt=style,
        color=colour,
        label=label,
        markersize=5,
        elinewidth=0.8,
    )
