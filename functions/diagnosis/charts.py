"""The picture of the evaluation: ROC, reliability, and what referral buys."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from sklearn.metrics import roc_curve

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#1f5fa8", "#d9661f", "#8a8f98"

# Few masses lie between: narrow bins there would show nothing but chance.
EDGES = (0.05, 0.2, 0.5, 0.8, 0.95)

Scored = tuple[np.ndarray, np.ndarray]


def draw(path: Path, held_out: Scored, validated: Scored, report: dict[str, Any]) -> None:
    """Draw three panels; held_out is (truth, probability), validated has a row a repeat."""
    plt.rcParams.update({"font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.3), constrained_layout=True)
    _roc(left, held_out, validated, report)
    _reliability(middle, held_out, validated)
    _referral(right, held_out, validated, report["refer_below"])
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _roc(axes: Axes, held_out: Scored, validated: Scored, report: dict[str, Any]) -> None:
    """Draw the corner of the ROC plane where the curves are."""
    truth, repeats = validated
    grid = np.linspace(0, 1, 1001)
    curves = []
    for probability in repeats:
        fpr, tpr, _ = roc_curve(truth, probability)
        curves.append(np.interp(grid, fpr, tpr))
    axes.fill_between(grid, np.min(curves, 0), np.max(curves, 0), color=BLUE, alpha=0.2, lw=0)
    auc = report["cross_validation"]["auc"]
    label = f"cross-validation, {len(repeats)} repeats: AUC {auc:.4f}"
    axes.plot(grid, np.mean(curves, 0), color=BLUE, label=label)
    fpr, tpr, _ = roc_curve(*held_out)
    label = f"held-out masses: AUC {report['hold_out']['auc']:.4f}"
    axes.step(fpr, tpr, where="post", color=ORANGE, label=label)
    axes.set(xlim=(-0.005, 0.3), ylim=(0.7, 1.005), title="ROC (upper left corner)")
    axes.set(xlabel="false alarms (1 - specificity)", ylabel="malignant found (sensitivity)")
    axes.legend(loc="lower right", frameon=False)


def _reliability(axes: Axes, held_out: Scored, validated: Scored) -> None:
    """Draw observed shares against predicted ones, the point area showing how many masses."""
    truth, repeats = validated
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    everyone = (np.tile(truth, len(repeats)), repeats.ravel(), 1 / len(repeats))
    for (seen, predicted, weight), color, label in (
        (everyone, BLUE, "cross-validation"),
        ((*held_out, 1.0), ORANGE, "held-out masses"),
    ):
        which = np.searchsorted(EDGES, predicted)
        bins = np.unique(which)
        x = [predicted[which == b].mean() for b in bins]
        y = [seen[which == b].mean() for b in bins]
        sizes = [12 + 1.2 * (which == b).sum() * weight for b in bins]
        axes.plot(x, y, color=color, lw=1, alpha=0.6)
        axes.scatter(x, y, s=sizes, color=color, alpha=0.75, label=label, lw=0)
    axes.set(title="Reliability (area: number of masses)")
    axes.set(xlabel="predicted probability of malignant", ylabel="share that was malignant")
    legend = axes.legend(loc="upper left", frameon=False)
    for handle in legend.legend_handles:
        handle.set_sizes([30])


def _referral(axes: Axes, held_out: Scored, validated: Scored, threshold: float) -> None:
    """Draw the accuracy of the masses that are kept, over the share that is referred."""
    truth, repeats = validated
    grid = np.linspace(0, 0.4, 161)
    curves = [_kept_accuracy(truth, probability, grid) for probability in repeats]
    axes.fill_between(grid, np.min(curves, 0), np.max(curves, 0), color=BLUE, alpha=0.2, lw=0)
    axes.plot(grid, np.mean(curves, 0), color=BLUE, label="cross-validation")
    axes.plot(grid, _kept_accuracy(*held_out, grid), color=ORANGE, label="held-out masses")
    seen, probability = held_out
    kept = np.maximum(probability, 1 - probability) >= threshold
    accuracy = ((probability >= 0.5) == seen)[kept].mean()
    label = f"shipped: refer below {threshold:.2f}"
    axes.plot(1 - kept.mean(), accuracy, "o", color=ORANGE, ms=8, mec="black", label=label)
    axes.set(title="Referral", ylim=(0.955, 1.002))
    axes.set(xlabel="share of the masses referred", ylabel="accuracy of the others")
    axes.legend(loc="lower right", frameon=False)


def _kept_accuracy(truth: np.ndarray, probability: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the accuracy after referring each share in grid, the least certain first."""
    order = np.argsort(-np.abs(probability - 0.5))
    right = ((probability >= 0.5) == truth)[order]
    running = np.cumsum(right) / np.arange(1, len(right) + 1)
    keep = np.round((1 - grid) * len(right)).astype(int)
    return running[keep - 1]
