"""Draws an overload: what was offered, answered in time and refused, second by second."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from recording import Recording

matplotlib.use("agg")
import matplotlib.pyplot as plt

_BLUE, _ORANGE, _GREY = "#1f6feb", "#d9661f", "#8c959f"


def draw(report: dict[str, Any], recording: Recording, path: Path) -> None:
    """Writes the picture of a report."""
    deadline_ms = report["deadline_ms"]
    seconds = np.arange(int(recording.at_s[-1]) + 1)
    due = recording.at_s.astype(int)
    results, refused = recording.status == 200, recording.status > 200
    on_time = results & (recording.latency_ms <= deadline_ms)
    figure, (rates, latencies) = plt.subplots(
        2, 1, figsize=(9, 5.4), sharex=True, layout="constrained"
    )
    for chosen, label, colour in (
        (np.ones_like(on_time), "offered", _GREY),
        (on_time, "answered in time", _BLUE),
        (refused, "refused", _ORANGE),
    ):
        rates.step(seconds, np.bincount(due[chosen], minlength=len(seconds)), where="post",
                   color=colour, label=label)  # fmt: skip
    capacity = sum(report["capacity_per_s"]) / 2
    rates.axhline(capacity, color="black", lw=0.8, ls=":", label="capacity")
    rates.set(ylabel="calls/s", ylim=(0, None))
    for chosen, label, colour in (
        (results, "p99 of what was admitted", _BLUE),
        (refused, "p99 of refusals", _ORANGE),
    ):
        values = [_p99(recording.latency_ms[chosen & (due == second)]) for second in seconds]
        latencies.step(seconds, values, where="post", color=colour, label=label)
    latencies.axhline(deadline_ms, color="black", lw=0.8, ls=":", label="deadline")
    latencies.axhline(10.0, color=_ORANGE, lw=0.8, ls=":", label="10 ms")
    latencies.set(ylabel="ms from when it was due", yscale="log", xlabel="s")
    for axes in (rates, latencies):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right", frameon=False, fontsize=8)
    figure.suptitle(
        f"A function that {report['function']} for {report['service_ms']:g} ms in "
        f"{report['replicas']} replica(s), at 80, 200 and 80 % of its capacity",
        fontsize=10,
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _p99(values: np.ndarray[Any, Any]) -> float:
    return float(np.quantile(values, 0.99, method="higher")) if len(values) else np.nan
