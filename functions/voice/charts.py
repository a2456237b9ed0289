"""The picture of an evaluation: accuracy against noise, and what is taken for what."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from features import LABELS
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

matplotlib.use("Agg")
_INK, _ACCENT = "#222222", "#0b6e99"
_NOISE_COLOURS = {"white": "#c9a227", "pink": "#c8553d", "hum": "#7a9e59", "babble": "#7d5ba6"}


def draw(results: dict[str, Any], path: Path, *, bar: float) -> None:
    """Write both charts side by side."""
    plt.rcParams.update({"font.size": 10, "text.color": _INK, "axes.edgecolor": "#888888"})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13.5, 6), layout="constrained", width_ratios=(1, 1.08)
    )
    _draw_curve(left, results, bar)
    _draw_confusion(right, np.array(results["at_10_db"]["confusion"]))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_curve(axes: Axes, results: dict[str, Any], bar: float) -> None:
    """Accuracy at each ratio, with its interval, and for each kind of noise."""
    curve = results["curve"]
    places = np.arange(len(curve))
    for kind, values in results["curve_by_noise"].items():
        axes.plot(places[1:], 100 * np.array(values[1:]), color=_NOISE_COLOURS[kind], lw=1.2,
                  ls="--", marker=".", label=f"{kind} noise")  # fmt: skip
    accuracy = 100 * np.array([point["accuracy"] for point in curve])
    low, high = 100 * np.array([point["interval"] for point in curve]).T
    axes.fill_between(places, low, high, color=_ACCENT, alpha=0.15, lw=0, label="95 % interval")
    axes.plot(places, accuracy, color=_ACCENT, lw=2.5, marker="o", label="all noises")
    axes.axhline(100 * bar, color=_INK, lw=1, ls=":")
    axes.text(len(curve) - 1, 100 * bar + 0.4, f"the bar, {100 * bar:.0f} %", ha="right")
    for place, value in zip(places, accuracy, strict=True):
        axes.annotate(f"{value:.1f}", (place, value), (0, -16), textcoords="offset points",
                      ha="center", color=_ACCENT, weight="bold")  # fmt: skip
    axes.set_xticks(places, [point["snr"].replace("-", "\N{MINUS SIGN}") for point in curve])
    axes.set_xlabel("signal-to-noise ratio")
    axes.set_ylabel("accuracy over 12 classes, %")
    axes.set_ylim(top=101)
    axes.set_title("Voices, words and noise never trained on", loc="left", weight="bold")
    axes.grid(axis="y", color="#dddddd", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", frameon=False)


def _draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    """The share of each spoken label that is heard as each label."""
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(np.sqrt(shares), cmap="GnBu", vmin=0, vmax=12)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            text = f"{share:.0f}" if share >= 9.95 else f"{share:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9,
                      color="white" if share > 40 else _INK)  # fmt: skip
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set_xlabel("heard as")
    axes.set_ylabel("spoken")
    axes.set_title("Confusions at 10 dB, % of each spoken label", loc="left", weight="bold")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
