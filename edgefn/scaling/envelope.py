"""How many servers a stream of calls needs to be in time: the arrival-conditioned demand envelope.

A call is in time if the work that came with it and up to `d` before it fits into `d` and the time
that the call may wait, for every `d`: n servers do `n * (d + slack)` of it. The highest need over
all `d`, at the quantile that the SLO asks for, is the number of servers. This is the work envelope
of network calculus (Cruz, 1991), taken from what was seen instead of from a contract. The quantile
is over calls, not over time: most calls of a bursty stream come when it bursts.

No queueing formula is needed, and none of its assumptions: bursts that are shorter than the slack
cost nothing, others as much as they must.
"""

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgefn.scaling.demand import DemandReport, slack_of

WINDOW_S: Final = 20.0
MAX_MOMENTS: Final = 4000
FULL: Final = 0.98  # of their time that servers may be meant to work
IMPATIENT: Final = 0.05  # share of the calls whose slack may be less than the one that counts
PATIENT_RUNS: Final = (
    4.0  # a call without a deadline is to wait no longer than so many of its runs,
)
PATIENT_S: Final = 0.1  # or so long
SETTLED_S: Final = 1.0  # over less than that there is no rate,
LASTING_S: Final = 1.0  # and over less than that none that is expected to stay
FINEST_S: Final = 0.001  # no span is shorter: processes differ by as much
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a number of servers would mean for the calls of the last seconds.

    Attributes:
        offered: Servers that would be busy all the time, if what came of late went on: the most
            work a second of the window, or of a last part of it.
        slack_s: How long a call may wait.
        calls_per_s: That came.
        calls: How many came at each moment.
        demands: For each span of the envelope, the servers that each moment needs over it.
    """

    offered: float = 0.0
    slack_s: float = 0.0
    calls_per_s: float = 0.0
    calls: _Array = field(default_factory=lambda: np.empty(0))
    demands: tuple[_Array, ...] = ()

    def need(self, slo: float) -> float:
        """Returns how many servers keep that share of the calls in time; it is not a whole one."""
        need = self.offered / FULL
        may_be_late = (1.0 - slo) * float(self.calls.sum())
        for demand in self.demands:
            more = np.flatnonzero(demand > need)
            if float(self.calls[more].sum()) > may_be_late:
                most_first = more[np.argsort(-demand[more])]
                late = np.cumsum(self.calls[most_first])
                need = float(demand[most_first[np.searchsorted(late, may_be_late, side="right")]])
        return need

    def late(self, servers: float) -> float:
        """Returns the share of the calls that are late with so many servers, as a lower bound."""
        if not self.demands:
            return 0.0
        late = max(float(self.calls[demand > servers].sum()) for demand in self.demands)
        too_many = 1.0 - servers * FULL / self.offered
        return max(late / float(self.calls.sum()), too_many)


class Envelope:
    """The calls of the last `WINDOW_S`, at most `MAX_MOMENTS` moments of them."""

    def __init__(self) -> None:
        self._reports: deque[tuple[_Array, _Array, _Array]] = deque()  # moments, calls, work
        self._reported: deque[dict[int, int]] = deque()  # their slacks
        self._slacks: Counter[int] = Counter()
        self._moments = 0
        self._since_s: float | None = None  # the stream began, or began again
        self.is_measured = False  # whether the work of any call was known

    def add(self, report: DemandReport) -> None:
        """Takes in what came since the last report."""
        if not report.moments_s:
            return
        if self._since_s is None:
            self._since_s = report.moments_s[0]
        columns = report.moments_s, report.calls, report.work_s
        moments_s, calls, work_s = (np.asarray(column, dtype=float) for column in columns)
        self._reports.append((moments_s, calls, work_s))
        self._reported.append(report.slacks)
        self._slacks.update(report.slacks)
        self._moments += len(report.moments_s)
        self.is_measured = self.is_measured or any(report.work_s)
        while self._moments > MAX_MOMENTS and len(self._reports) > 1:
            self._drop()
            self._since_s = float(self._reports[0][0][0])

    def curve(self, now_s: float) -> Curve:
        """Returns what the calls of the last seconds need."""
        self._forget(now_s - WINDOW_S)
        if self._since_s is None:
            return Curve()
        moments_s, calls, work_s = self._merged()
        total_s = float(work_s.sum())
        count = float(calls.sum())
        each_s = total_s / count
        if not each_s:
            return Curve()
        slack_s = self._slack(each_s)
        span_s = min(max(now_s - self._since_s, SETTLED_S), WINDOW_S)
        offered = max(total_s / span_s, _surge(moments_s, work_s, slack_s))
        demands = _demands(moments_s, work_s, each_s, slack_s)
        return Curve(
            offered=offered,
            slack_s=slack_s,
            calls_per_s=count / span_s,
            calls=calls,
            demands=demands,
        )

    def tightest_s(self) -> float:
        """Returns the least slack of the calls in the window; infinite if none has a deadline."""
        return slack_of(min(self._slacks)) if self._slacks else float("inf")

    def _forget(self, before_s: float) -> None:
        reports = self._reports
        while reports and reports[0][0][-1] < before_s:
            self._drop()
        if not reports:
            self._since_s = None

    def _drop(self) -> None:
        self._moments -= len(self._reports.popleft()[0])
        self._slacks -= Counter(self._reported.popleft())

    def _merged(self) -> tuple[_Array, _Array, _Array]:
        """Returns moments, calls and work in order of time: several gateways report theirs."""
        moments_s, calls, work_s = map(np.concatenate, zip(*self._reports, strict=True))
        order = np.argsort(moments_s, kind="stable")
        return moments_s[order], calls[order], work_s[order]

    def _slack(self, each_s: float) -> float:
        """Returns the slack that nearly all calls have."""
        left = IMPATIENT * self._slacks.total()
        slack_s = math.inf
        for slot in sorted(self._slacks):
            slack_s = slack_of(slot)
            left -= self._slacks[slot]
            if left <= 0.0:
                break
        return slack_s if math.isfinite(slack_s) else max(PATIENT_RUNS * each_s, PATIENT_S)


def _demands(
    moments_s: _Array, work_s: _Array, each_s: float, slack_s: float
) -> tuple[_Array, ...]:
    """Returns for each span the servers that each moment needs over it."""
    until_s = np.concatenate(([0.0], np.cumsum(work_s)))
    demands = []
    span_s = max(each_s, FINEST_S)
    while span_s < 2.0 * WINDOW_S:
        first = np.searchsorted(moments_s, moments_s - span_s, side="right")
        demands.append((until_s[1:] - until_s[first]) / (span_s + slack_s))
        span_s *= 2.0
    return tuple(demands)


def _surge(moments_s: _Array, work_s: _Array, slack_s: float) -> float:
    """Returns the highest rate of work of a last part of the window, if it is to be lasting.

    The envelope believes of a burst only what has come of it. Whoever waits until a new rate has
    filled the window is late by as much; so a rate is expected to stay if it has lasted for longer
    than calls may wait: in either half of that time there was as much.
    """
    until_s = np.concatenate(([0.0], np.cumsum(work_s[::-1])))
    ages_s = moments_s[-1] - moments_s[::-1]
    rate = 0.0
    half_s = max(LASTING_S, slack_s) / 2.0
    while half_s < WINDOW_S / 2.0:
        last, both = np.searchsorted(ages_s, (half_s, 2.0 * half_s))
        work = min(until_s[last], until_s[both] - until_s[last])
        rate = max(rate, float(work) / half_s)
        half_s *= 2.0
    return rate
