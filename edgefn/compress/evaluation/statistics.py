"""How sure a mean over rows is, and the difference of two means over the same rows.

A variant is judged by the rows on which it differs from the model as given: the test is paired.
For scores of 0 and 1 the p-value is the exact McNemar test's (Edwards 1948), the interval of the
difference Tango's score interval (Statistics in Medicine 17, 1998), which stays honest where few
rows or none differ. Other scores are resampled, a row with both its scores (Efron and Tibshirani
1993, percentiles of the bootstrap). A single share has Wilson's interval (1927).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgefn_runtime.variant import Estimate

Z95: Final = 1.959963984540054  # 97.5 % of the normal distribution lie below
RESAMPLES: Final = 2000
_SEED: Final = 7
_CELLS: Final = 4_000_000  # of resampled indices held at once
_HALVINGS: Final = 60

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """By how much a mean is lower than another over the same rows; negative: it is higher.

    Attributes:
        value: The observed one.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Chance of at least this drop if there were none in truth; None unless all scores are 0
            or 1.
        rows: Of the comparison.
    """

    value: float
    low: float
    high: float
    p: float | None
    rows: int


def estimate(scores: Sequence[float]) -> Estimate:
    """Returns the mean of at least one score with its 95 % interval."""
    values = np.asarray(scores, np.float64)
    mean, rows = float(values.mean()), len(values)
    low, high = wilson(mean, rows) if _is_binary(values) else _bootstrap(values)
    return Estimate(value=mean, low=low, high=high, rows=rows)


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share."""
    square = Z95**2 / rows
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    # Exact at the ends, which rounding would miss.
    low = 0.0 if share == 0 else max(0.0, middle - half)
    return low, 1.0 if share == 1 else min(1.0, middle + half)


def paired_drop(given: Sequence[float], variant: Sequence[float]) -> Drop:
    """Compares the scores of two variants on the same rows, in the same order.

    Raises:
        ValueError: There are no rows, or not equally many.
    """
    first, second = np.asarray(given, np.float64), np.asarray(variant, np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"scores of {first.shape} and {second.shape} rows cannot be paired")
    rows, lost = len(first), first - second
    if _is_binary(first) and _is_binary(second):
        worse, better = int((lost > 0).sum()), int((lost < 0).sum())
        low, high = tango(worse, better, rows)
        p: float | None = mcnemar(worse, better)
    else:
        # No resampling shows a difference where there is none: then as of 0 and 1.
        low, high = _bootstrap(lost) if lost.any() else tango(0, 0, rows)
        p = None
    return Drop(value=float(lost.mean()), low=low, high=high, p=p, rows=rows)


def mcnemar(worse: int, better: int) -> float:
    """Returns the one-sided exact p-value of `worse` losses among the rows that differ."""
    differing = worse + better
    tail = sum(math.comb(differing, lost) for lost in range(worse, differing + 1))
    return float(tail / 2**differing)


def tango(worse: int, better: int, rows: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a drop.

    Args:
        worse: Rows that only the first has right.
        better: Rows that only the second has right.
        rows: All.
    """
    return (
        _solve(worse, better, rows, Z95),
        _solve(worse, better, rows, -Z95),
    )


def _solve(worse: int, better: int, rows: int, target: float) -> float:
    """Returns the drop whose score is `target`; the score falls with the drop."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _score(worse, better, rows, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score(worse: int, better: int, rows: int, drop: float) -> float:
    """Returns by how many standard errors the observed drop is above a supposed one."""
    a = 2 * rows
    b = -worse - better + (2 * rows - worse + better) * drop
    c = -better * drop * (1 - drop)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # most likely, given the drop
    variance = rows * (2 * share + drop * (1 - drop))
    gap = worse - better - rows * drop
    if gap == 0:
        return 0.0
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)


def _bootstrap(values: Array) -> tuple[float, float]:
    rng, rows = np.random.default_rng(_SEED), len(values)
    means = []
    left = RESAMPLES
    while left:
        count = min(left, max(1, _CELLS // rows))
        means.append(values[rng.integers(rows, size=(count, rows))].mean(axis=1))
        left -= count
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def _is_binary(values: Array) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())
