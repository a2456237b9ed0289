"""When the next call of a rare function is to be expected: the histogram of its idle times.

The hybrid histogram policy of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), with bins
that grow, because an edge box loads a model within milliseconds and not within seconds: what is
worth to be told apart begins at a few seconds. Times without a call that are shorter are no idle
times. Where the histogram says nothing, a replica is simply kept for the declared time.
"""

import math
from typing import Final

SHORTEST_S: Final = 5.0
LONGEST_S: Final = 4 * 3600.0
BINS: Final = 48
ENOUGH: Final = 10  # samples
TELLING_CV: Final = 2.0  # of the counts in the bins: they are where the function calls
HEAD: Final = 0.05
TAIL: Final = 0.99
EARLIER: Final = 0.9
LATER: Final = 1.1
MEMORY: Final = 400  # samples, after which each counts for half
_RATIO: Final = math.pow(LONGEST_S / SHORTEST_S, 1.0 / BINS)


class IdleTimes:
    """How long a variant was not called, each time that it was not for `SHORTEST_S` at least."""

    def __init__(self) -> None:
        self._counts = [0.0] * (BINS + 1)  # one for what is longer than the longest
        self._samples = 0

    def add(self, idle_s: float) -> None:
        """Records that a call came after so long; short times are left out."""
        if idle_s < SHORTEST_S:
            return
        self._counts[min(int(math.log(idle_s / SHORTEST_S) / math.log(_RATIO)), BINS)] += 1.0
        self._samples += 1
        if self._samples >= MEMORY:
            self._samples //= 2
            self._counts = [count / 2.0 for count in self._counts]

    @property
    def is_telling(self) -> bool:
        """Whether there are enough of them, in few enough bins, to say when the next call comes."""
        if self._samples < ENOUGH or self._counts[BINS] > 0.5 * sum(self._counts):
            return False
        mean = sum(self._counts) / len(self._counts)
        variance = sum((count - mean) ** 2 for count in self._counts) / len(self._counts)
        return math.sqrt(variance) >= TELLING_CV * mean

    def expects_call(self, idle_s: float, *, settle_s: float) -> bool:
        """Returns whether a replica is to be there, so long after the last call.

        Only of use if `is_telling`.

        Args:
            idle_s: Since the last call.
            settle_s: For so long it is kept in any case: to start it anew costs more.
        """
        return idle_s < settle_s or self.next_s(HEAD) * EARLIER <= idle_s < self._end_s * LATER

    def chance(self, idle_s: float, within_s: float) -> float:
        """Returns the probability that a call comes within a time, after none came for so long."""
        left = self._more_than(idle_s)
        if left <= 0.0:
            return 0.0
        return 1.0 - self._more_than(idle_s + within_s) / left

    def next_s(self, quantile: float) -> float:
        """Returns the lower edge of the bin of a quantile."""
        left = quantile * sum(self._counts)
        for index, count in enumerate(self._counts):
            left -= count
            if left <= 0.0 < count:
                return _edge_s(index)
        return _edge_s(BINS)

    @property
    def _end_s(self) -> float:
        return self.next_s(TAIL) * _RATIO

    def _more_than(self, idle_s: float) -> float:
        """Returns how many idle times were longer; within a bin they are taken to be even."""
        more = 0.0
        for index, count in enumerate(self._counts):
            low_s, high_s = _edge_s(index), _edge_s(index + 1)
            if idle_s <= low_s:
                more += count
            elif idle_s < high_s:
                more += count * (high_s - idle_s) / (high_s - low_s)
        return more


def _edge_s(index: int) -> float:
    return SHORTEST_S * math.pow(_RATIO, index)
