"""Quantiles of many values in little memory: counts in buckets of equal ratio.

A bucket is 2 % wide, so a quantile is wrong by at most 1 % of its value (Masson, Rim and Lee,
"DDSketch", 2019, without the collapsing of buckets).
"""

from math import exp, log
from typing import Final

_WIDTH: Final = log(1.02)
_PER_UNIT: Final = 1.0 / _WIDTH
_LEAST_S: Final = 1e-6
_OFFSET: Final = -log(_LEAST_S) * _PER_UNIT
_BUCKETS: Final = int(log(1e5 / _LEAST_S) * _PER_UNIT)  # a microsecond to a day


class Histogram:
    """Durations in seconds."""

    __slots__ = ("_buckets", "_count")

    def __init__(self) -> None:
        self._buckets = [0] * _BUCKETS
        self._count = 0

    def add(self, value_s: float) -> None:
        """Counts one."""
        index = int(log(value_s) * _PER_UNIT + _OFFSET) if value_s > _LEAST_S else 0
        self._buckets[index if index < _BUCKETS else -1] += 1
        self._count += 1

    def quantile(self, share: float) -> float:
        """Returns what this share of the values does not exceed; 0 if there are none."""
        if not self._count:
            return 0.0
        rest = share * self._count
        index = -1
        while rest > 0.0 or index < 0:
            index += 1
            rest -= self._buckets[index]
        return exp((index + 0.5 - _OFFSET) * _WIDTH)
