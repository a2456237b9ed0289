"""How long the calls of the last seconds may wait."""

import math
from collections import deque

from edgefn.scaling.demand import DemandReport, slack_of


class Slacks:
    """Counts calls by the bin of their slack (`demand.slack_bin`)."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, dict[int, int]]] = deque()
        self._calls: dict[int, int] = {}

    def add(self, report: DemandReport) -> None:
        """Takes in what came since the last report."""
        self._reports.append((report.moments_s[-1], report.slacks))
        for slot, count in report.slacks.items():
            self._calls[slot] = self._calls.get(slot, 0) + count

    def forget(self, before_s: float) -> None:
        """Drops the reports that are older, as a whole."""
        while self._reports and self._reports[0][0] < before_s:
            for slot, count in self._reports.popleft()[1].items():
                self._calls[slot] -= count
                if not self._calls[slot]:
                    del self._calls[slot]

    def tightest_s(self) -> float:
        """Returns the least; infinite if none has a deadline."""
        return slack_of(min(self._calls)) if self._calls else math.inf

    def quantile(self, share: float) -> float:
        """Returns what all but that share of the calls have; infinite without deadlines."""
        left = share * sum(self._calls.values())
        slack_s = math.inf
        for slot in sorted(self._calls):
            slack_s = slack_of(slot)
            left -= self._calls[slot]
            if left <= 0.0:
                break
        return slack_s
