"""Draws a recorded run beside its simulations: calls in time by second, and latencies."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt

_REAL, _SIMULATED = "#d9661f", "#1f6feb"


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    figure, (course, latencies) = plt.subplots(
        1, 2, figsize=(11, 3.6), width_ratios=(2, 1), layout="constrained"
    )
    simulated, real = report["seconds"]["simulated"], report["seconds"]["real"]
    for number, run in enumerate(simulated):
        label = f"simulated, {len(simulated)} times" if not number else None
        course.step(range(len(run)), _percent(run), where="post", color=_SIMULATED, lw=0.8,
                    alpha=0.6, label=label)  # fmt: skip
    course.step(range(len(real)), _percent(real), where="post", color=_REAL, label="real box")
    course.set(xlabel="s of the second half", ylabel="% of the calls in time", ylim=(None, 101))
    names = list(report["real"]["latencies_ms"])
    places = np.arange(len(names))
    values = [[run["latencies_ms"][name] for name in names] for run in report["simulated"]]
    latencies.bar(places - 0.2, report["real"]["latencies_ms"].values(), 0.38, color=_REAL)
    middle = np.median(values, axis=0)
    reach = (middle - np.min(values, axis=0), np.max(values, axis=0) - middle)
    latencies.bar(places + 0.2, middle, 0.38, yerr=reach, color=_SIMULATED)
    latencies.set_xticks(places, names)
    latencies.set(ylabel="ms")
    for axes in (course, latencies):
        axes.spines[["top", "right"]].set_visible(False)
    course.legend(loc="lower left", frameon=False, fontsize=8)
    figure.suptitle(
        f"A function that {report['function']}, one replica, deadline {report['deadline_ms']:g} ms:"
        " recorded and simulated",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _percent(shares: list[float | None]) -> list[float]:
    return [np.nan if share is None else share * 100 for share in shares]
