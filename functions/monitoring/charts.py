"""The picture of the evaluation: noise, confusion, and anomaly scores."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from vibration import LABELS, NOVEL, TRAINING

BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9661f", "#3c8d5a", "#8a8f98"


def draw(
    path: Path, report: dict[str, Any], matrix: np.ndarray, scores: dict[str, np.ndarray]
) -> None:
    """Draw three panels; scores holds the anomaly scores of each condition."""
    plt.rcParams.update({"font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14.5, 4.6), layout="constrained")
    _noise(left, report["macro_f1_by_snr_db"])
    _confusion(middle, matrix)
    _anomaly(right, scores, report["anomaly_from_5_db"])
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _noise(axes: Axes, outcomes: dict[str, Any]) -> None:
    """Draw macro-F1 over the noise, with the bands that were trained on."""
    snr = [float(key) for key in outcomes]
    score = np.array([outcome["macro_f1"] for outcome in outcomes.values()])
    low, high = np.array([outcome["macro_f1_ci95"] for outcome in outcomes.values()]).T
    for number, band in enumerate(TRAINING.snr_db):
        label = "noise trained on" if number == 0 else None
        axes.axvspan(*band, color=GREY, alpha=0.2, lw=0, label=label)
    axes.fill_between(snr, low, high, color=BLUE, alpha=0.25, lw=0)
    axes.plot(snr, score, "o-", color=BLUE, label="machines not trained on")
    axes.plot([5, 30], [0.95, 0.95], color=ORANGE, ls="--", label="bar: 0.95 from 5 dB on")
    axes.set(title="Six classes, by noise", ylim=(0, 1.02))
    axes.set(xlabel="signal to noise, dB", ylabel="macro-F1")
    axes.legend(loc="lower right", frameon=False)


def _confusion(axes: Axes, matrix: np.ndarray) -> None:
    """Draw the confusion matrix, rows adding up to one."""
    names = [label.replace("_", " ") for label in LABELS]
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        value = matrix[row, column]
        if value >= 0.0005:
            color = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(title="Confusion from 5 dB on, %", xlabel="found", ylabel="true")


def _anomaly(axes: Axes, scores: dict[str, np.ndarray], report: dict[str, Any]) -> None:
    """Draw the distribution of the anomaly score for each condition."""
    names = list(scores)
    parts = axes.violinplot([scores[name] for name in names], vert=False, showextrema=False)
    for name, body in zip(names, parts["bodies"], strict=True):
        body.set_facecolor(GREEN if name == "healthy" else ORANGE if name in NOVEL else BLUE)
        body.set_alpha(0.7)
    ticks = [
        f"{name.replace('_', ' ')}\n"
        + (f"alarms {100 * report['false_alarms']:.1f} %" if name == "healthy"
           else f"AUROC {report[name]['auroc']:.3f}")
        for name in names
    ]  # fmt: skip
    axes.set_yticks(range(1, len(names) + 1), ticks)
    axes.axvline(0.5, color=GREY, ls="--", lw=1)
    axes.set(title="Anomaly score (orange: fault without a class)", xlim=(0, 1), xlabel="score")
