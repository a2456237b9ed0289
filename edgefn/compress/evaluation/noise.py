"""How far the outputs of one variant are from those of another, as a signal-to-noise ratio."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Outputs = Sequence[Array]

# What a variant gets whose outputs are not even finite; a real one is hardly below 0.
WORST_DB: Final = -100.0


def snr_db(
    given: Sequence[Sequence[Outputs]], variant: Sequence[Sequence[Outputs]]
) -> float | None:
    """Returns the ratio of the worst output in dB, infinite if all are equal bit for bit.

    Runs are compared where both took the same way: equally many runs, outputs of equal shapes.
    Outputs of integers, and what is not finite in the signal itself, are left out: an output of
    which nothing is finite says nothing, least of all that a variant is as good.

    Args:
        given: The signal: of each step of the work, of each run in it, the outputs.
        variant: The same of the variant.

    Returns:
        At least `WORST_DB`; None if there is nothing to compare.
    """
    signal: dict[int, float] = {}
    noise: dict[int, float] = {}
    for before, after in zip(given, variant, strict=False):
        if not _comparable(before, after):
            continue
        for first, second in zip(before, after, strict=True):
            for place, (wanted, found) in enumerate(zip(first, second, strict=True)):
                if wanted.dtype.kind == "f" and np.isfinite(wanted).any():
                    added = _powers(wanted, found)
                    signal[place] = signal.get(place, 0.0) + added[0]
                    noise[place] = noise.get(place, 0.0) + added[1]
    if not signal:
        return None
    return min(_ratio_db(signal[place], noise[place]) for place in signal)


def is_never_finite(outputs: Sequence[Sequence[Outputs]]) -> bool:
    """Whether a model gave floats, and not one of them was a finite number.

    Args:
        outputs: Of each step of the work, of each run in it, the outputs.
    """
    floats = [
        array
        for step in outputs
        for run in step
        for array in run
        if array.dtype.kind == "f" and array.size
    ]
    return bool(floats) and not any(np.isfinite(array).any() for array in floats)


def _comparable(before: Sequence[Outputs], after: Sequence[Outputs]) -> bool:
    return [[array.shape for array in run] for run in before] == [
        [array.shape for array in run] for run in after
    ]


def _powers(wanted: Array, found: Array) -> tuple[float, float]:
    finite = np.isfinite(wanted)
    exact = wanted[finite].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        error = found[finite].astype(np.float64) - exact
        power = float(np.square(error).sum())
    return float(np.square(exact).sum()), power if math.isfinite(power) else math.inf


def _ratio_db(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    if signal == 0 or math.isinf(noise):
        return WORST_DB
    return max(WORST_DB, 10 * math.log10(signal / noise))
