"""The moments at which calls came of late, and the work that came with each and shortly before it.

What is known of a moment does not change when others come after it, so that only new ones cost
anything: those of several gateways, which come a little out of order, and what lies between them.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgefn.scaling.demand import DemandReport

MAX_MOMENTS: Final = 4000

Array = NDArray[np.float64]
_NONE: Final[Array] = np.empty(0)


class Moments:
    """In order of time.

    Attributes:
        times_s: When calls came,
        calls: how many,
        work_s: and what they add to a replica's queue.
        spans_s: Times to look back from a moment; each twice the one before.
        within_s: By span and moment, the work that came in the span that ends with the moment.
    """

    def __init__(self) -> None:
        self.times_s = self.calls = self.work_s = self.spans_s = _NONE
        self.within_s: Array = np.empty((0, 0))

    def __len__(self) -> int:
        return len(self.times_s)

    def add(self, reports: Iterable[DemandReport]) -> None:
        """Takes in what came, of which there must be some; the oldest of too many are dropped."""
        columns = zip(*((one.moments_s, one.calls, one.work_s) for one in reports), strict=True)
        times_s, calls, work_s = map(np.concatenate, columns)
        first = int(np.searchsorted(self.times_s, times_s.min()))
        times_s = np.concatenate((self.times_s[first:], times_s))
        order = np.argsort(times_s, kind="stable")
        self.times_s = np.concatenate((self.times_s[:first], times_s[order]))
        calls = np.concatenate((self.calls[first:], calls))[order]
        self.calls = np.concatenate((self.calls[:first], calls))
        work_s = np.concatenate((self.work_s[first:], work_s))[order]
        self.work_s = np.concatenate((self.work_s[:first], work_s))
        self._look_back(first)
        self._drop(len(self) - MAX_MOMENTS)

    def forget(self, before_s: float) -> None:
        """Drops what is older."""
        self._drop(int(np.searchsorted(self.times_s, before_s)))

    def look_back(self, shortest_s: float, longest_s: float) -> None:
        """Sets the spans: from the shortest one to the last that is shorter than the longest."""
        count = max(int(np.ceil(np.log2(longest_s / shortest_s))), 1)
        self.spans_s = shortest_s * np.exp2(np.arange(count))
        self._look_back(0)

    def _look_back(self, first: int) -> None:
        """Sums up what came before each moment from an index on."""
        times_s = self.times_s
        until_s = np.concatenate(([0.0], np.cumsum(self.work_s)))
        starts_s = times_s[first:] - self.spans_s[:, np.newaxis]
        within_s = until_s[first + 1 :] - until_s[np.searchsorted(times_s, starts_s, side="right")]
        known_s = self.within_s[:, :first]
        self.within_s = np.concatenate((known_s, within_s), axis=1) if first else within_s

    def _drop(self, count: int) -> None:
        if count > 0:
            self.times_s, self.calls = self.times_s[count:], self.calls[count:]
            self.work_s, self.within_s = self.work_s[count:], self.within_s[:, count:]
