"""What calls wanted of a variant, recorded where they come in: in time, in work and in patience.

Demand is not throughput: calls that are refused, wait or go elsewhere count like those that are
answered here, else a function that is too small would look as if it were large enough.
"""

import math
from bisect import bisect_right
from typing import Final

import msgspec

MAX_MOMENTS: Final = 256  # of one report
FINEST_S: Final = 0.0005  # calls that come closer together than this are one moment
SLACK_BASE_S: Final = 0.001
SLACK_RATIO: Final = 1.1
MAX_SLACK_BIN: Final = 140  # ten minutes
NO_DEADLINE_BIN: Final = 255
_EDGES: Final = [SLACK_BASE_S * SLACK_RATIO**each for each in range(1, MAX_SLACK_BIN + 1)]


class DemandReport(msgspec.Struct, frozen=True):
    """What calls wanted of one variant in a short time.

    Attributes:
        moments_s: When they came, on the clock that all processes of a box share; ascending.
        calls: How many came at each moment.
        work_s: What those add to a replica's queue.
        slacks: Calls by how long they may wait, as `slack_bin` counts it.
    """

    moments_s: list[float] = []
    calls: list[int] = []
    work_s: list[float] = []
    slacks: dict[int, int] = {}


class Demand:
    """Records what calls want of one variant, between two reports.

    However many calls come, at most `MAX_MOMENTS` moments are kept: beyond that, neighbouring ones
    become one, at the instant of the first, which makes bursts look worse by as little as possible.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._finest_s = FINEST_S
        self._moments_s: list[float] = []
        self._calls: list[int] = []
        self._work_s: list[float] = []
        self._slacks: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Returns whether anything was wanted since the last report."""
        return bool(self._moments_s)

    def want(self, now_s: float, work_s: float, slack_s: float) -> None:
        """Records one call.

        A call that even an idle replica could not answer in time is no demand: no replica that
        could be started would help it.

        Args:
            now_s: When it came in; never less than at the last one.
            work_s: What it adds to a replica's queue; 0 as long as that is not known.
            slack_s: How long it could wait before its run starts, and still be in time: what is
                left of its budget, less the run itself and the network. Infinite without deadline.
        """
        if slack_s <= 0.0:
            return
        slacks, moments_s = self._slacks, self._moments_s
        slot = slack_bin(slack_s)
        slacks[slot] = slacks.get(slot, 0) + 1
        if moments_s and now_s - moments_s[-1] < self._finest_s:
            self._calls[-1] += 1
            self._work_s[-1] += work_s
            return
        moments_s.append(now_s)
        self._calls.append(1)
        self._work_s.append(work_s)
        if len(moments_s) > MAX_MOMENTS:
            self._coarsen()

    def take(self) -> DemandReport:
        """Returns what was recorded since the last time, and begins anew."""
        report = DemandReport(self._moments_s, self._calls, self._work_s, self._slacks)
        self._clear()
        return report

    def _coarsen(self) -> None:
        """Leaves half of the moments at most, however far they are apart."""
        moments_s, calls, work_s = self._moments_s, self._calls, self._work_s
        self._finest_s = 2.0 * (moments_s[-1] - moments_s[0]) / MAX_MOMENTS
        self._moments_s, self._calls, self._work_s = [], [], []
        for moment_s, count, work in zip(moments_s, calls, work_s, strict=True):
            if self._moments_s and moment_s - self._moments_s[-1] < self._finest_s:
                self._calls[-1] += count
                self._work_s[-1] += work
            else:
                self._moments_s.append(moment_s)
                self._calls.append(count)
                self._work_s.append(work)


def slack_bin(slack_s: float) -> int:
    """Returns the bin of a slack: they are a tenth wide, from a millisecond to ten minutes."""
    return bisect_right(_EDGES, slack_s) if slack_s < math.inf else NO_DEADLINE_BIN


def slack_of(slot: int) -> float:
    """Returns the lower edge of a bin, in seconds; infinite for calls without a deadline."""
    if slot == NO_DEADLINE_BIN:
        return math.inf
    return SLACK_BASE_S * math.pow(SLACK_RATIO, min(slot, MAX_SLACK_BIN))
