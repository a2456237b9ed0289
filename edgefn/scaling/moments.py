"""The moments at which calls came of late, and how many servers each of them needs.

What is known of a moment does not change when others come after it, so that only new ones cost
anything: those of several gateways, which come a little out of order, and what lies between them.
"""

from collections.abc import Sequence
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
        calls: and how many.
        until_s: The work that had come then since some time before the first of them.
        before_s: The work that had come before the first.
        needs: Servers that have done what came with a moment, and in any span before it, when its
            calls cannot wait any longer.
    """

    def __init__(self) -> None:
        self.times_s = self.calls = self.until_s = self.needs = _NONE
        self.before_s = 0.0
        self._spans_s = self._given_s = np.empty((0, 1))  # and how long servers have for them
        self._within_s: Array = np.empty((0, 0))  # by span and moment: what came in it

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def work_s(self) -> float:
        """What came with all of them."""
        return float(self.until_s[-1]) - self.before_s if len(self) else 0.0

    def add(self, reports: Sequence[DemandReport]) -> None:
        """Takes in what came, of which there must be some; the oldest of too many are dropped."""
        columns = zip(*((one.moments_s, one.calls, one.work_s) for one in reports), strict=True)
        times_s, calls, work_s = map(np.concatenate, columns)
        first = len(self)
        if len(reports) > 1 or (first and times_s[0] < self.times_s[-1]):
            first = int(self.times_s.searchsorted(times_s.min()))
            times_s = np.concatenate((self.times_s[first:], times_s))
            order = times_s.argsort(kind="stable")
            times_s = times_s[order]
            calls = np.concatenate((self.calls[first:], calls))[order]
            known_s = np.diff(self.until_s[first:], prepend=self._until(first))
            work_s = np.concatenate((known_s, work_s))[order]
        until_s = self._until(first) + work_s.cumsum()
        self.times_s = np.concatenate((self.times_s[:first], times_s))
        self.calls = np.concatenate((self.calls[:first], calls))
        self.until_s = np.concatenate((self.until_s[:first], until_s))
        self._look_back(first)
        self._drop(len(self) - MAX_MOMENTS)

    def forget(self, before_s: float) -> None:
        """Drops what is older."""
        if len(self) and self.times_s[0] < before_s:
            self._drop(int(self.times_s.searchsorted(before_s)))

    def set_spans(self, shortest_s: float, longest_s: float, slack_s: float) -> None:
        """Sets the spans: each is twice the one before.

        Args:
            shortest_s: The first.
            longest_s: All others are shorter.
            slack_s: How long calls may wait.
        """
        count = max(int(np.ceil(np.log2(longest_s / shortest_s))), 1)
        self._spans_s = shortest_s * np.exp2(np.arange(count))[:, np.newaxis]
        self._given_s = self._spans_s + slack_s
        self._look_back(0)

    def set_slack(self, slack_s: float) -> None:
        """Sets how long calls may wait."""
        self._given_s = self._spans_s + slack_s
        self.needs = (self._within_s / self._given_s).max(axis=0, initial=0.0)

    def _look_back(self, first: int) -> None:
        """Finds out what moments need, from an index on."""
        times_s = self.times_s
        before = times_s.searchsorted(times_s[first:] - self._spans_s, side="right")
        until_s = np.concatenate(((self.before_s,), self.until_s))
        within_s = until_s[first + 1 :] - until_s[before]
        needs = (within_s / self._given_s).max(axis=0, initial=0.0)
        if first:
            within_s = np.concatenate((self._within_s[:, :first], within_s), axis=1)
            needs = np.concatenate((self.needs[:first], needs))
        self._within_s, self.needs = within_s, needs

    def _until(self, index: int) -> float:
        return float(self.until_s[index - 1]) if index else self.before_s

    def _drop(self, count: int) -> None:
        if count > 0:
            self.before_s = self._until(count)
            self.times_s, self.calls = self.times_s[count:], self.calls[count:]
            self.until_s, self.needs = self.until_s[count:], self.needs[count:]
            self._within_s = self._within_s[:, count:]
