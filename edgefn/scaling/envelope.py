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
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edgefn.scaling.demand import DemandReport
from edgefn.scaling.moments import MAX_MOMENTS, Array, Moments
from edgefn.scaling.slacks import Slacks

WINDOW_S: Final = 20.0
FULL: Final = 0.98  # of their time that servers may be meant to work
IMPATIENT: Final = 0.05  # share of the calls whose slack may be less than the one that counts
PATIENT_S: Final = 2.0  # a call without a deadline is to wait no longer,
OVERFULL: Final = 1.1  # and if none has one, more than that comes in before servers are too few:
# callers that wait for each answer keep any number of servers full
SETTLED_S: Final = 1.0  # over less than that, or than calls may wait, there is no rate,
LASTING_S: Final = 1.0  # and over less than that none that is expected to stay
LONGEST_S: Final = 10.0  # span: a rate that lasts for longer counts as such
MAX_NEW: Final = 32  # reports that were not looked at yet
FINEST_S: Final = 0.001  # no span is shorter: processes differ by as much
CHANGED: Final = 1.25  # times as long, or as short, as before: then runs have other spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a number of servers would mean for the calls of the last seconds.

    Attributes:
        offered: Servers that would be busy all the time, if what came of late went on: the most
            work a second of the window, or of a last part of it.
        slack_s: How long a call may wait.
        calls_per_s: That came.
        each_s: Work of a call.
        is_patient: Whether hardly any of them has a deadline.
        calls: How many came at each moment.
        demands: By span of the envelope and moment, the servers that the moment needs.
    """

    offered: float = 0.0
    slack_s: float = 0.0
    calls_per_s: float = 0.0
    each_s: float = 0.0
    is_patient: bool = False
    calls: Array = field(default_factory=lambda: np.empty(0))
    demands: Array = field(default_factory=lambda: np.empty((0, 0)))

    def need(self, slo: float) -> float:
        """Returns how many servers keep that share of the calls in time; it is not a whole one."""
        need = self.steady
        if not self.demands.size:
            return need
        may_be_late = (1.0 - slo) * float(self.calls.sum())
        most = min(int(may_be_late) + 1, len(self.calls))  # each moment has a call at least
        top = np.argpartition(self.demands, -most, axis=1)[:, -most:]
        demands = np.take_along_axis(self.demands, top, axis=1)
        order = np.argsort(-demands, axis=1)
        late = np.cumsum(np.take_along_axis(self.calls[top], order, axis=1), axis=1)
        first = np.argmax(late > may_be_late, axis=1)[:, np.newaxis]
        needs = np.take_along_axis(np.take_along_axis(demands, order, axis=1), first, axis=1)
        return max(need, float(needs.max()))

    @property
    def steady(self) -> float:
        """How many servers are enough if calls come one after the other at an even pace."""
        return self.offered / (OVERFULL if self.is_patient else FULL)

    def late(self, servers: float) -> float:
        """Returns the share of the calls that are late with so many servers, as a lower bound."""
        if not self.demands.size:
            return 0.0
        late = float(((self.demands > servers) @ self.calls).max())
        too_many = 1.0 - servers / self.steady
        return max(late / float(self.calls.sum()), too_many)


class Envelope:
    """The calls of the last `WINDOW_S`."""

    def __init__(self) -> None:
        self._moments = Moments()
        self._slacks = Slacks()
        self._new: list[DemandReport] = []
        self._since_s: float | None = None  # the stream began, or began again
        self._each_s = 0.0  # of a run, when the spans were set
        self.is_measured = False  # whether the work of any call was known

    def add(self, report: DemandReport) -> None:
        """Takes in what came since the last report."""
        if not report.moments_s:
            return
        if self._since_s is None:
            self._since_s = report.moments_s[0]
        self._slacks.add(report)
        self._slacks.forget(report.moments_s[-1] - WINDOW_S)
        self._new.append(report)
        if len(self._new) >= MAX_NEW:  # though nobody asks
            self._take_in()
        self.is_measured = self.is_measured or any(report.work_s)

    def curve(self, now_s: float) -> Curve:
        """Returns what the calls of the last seconds need."""
        moments = self._moments
        self._take_in()
        self._forget(now_s - WINDOW_S)
        if self._since_s is None:
            return Curve()
        total_s = float(moments.work_s.sum())
        count = float(moments.calls.sum())
        each_s = total_s / count
        if not each_s:
            return Curve()
        if not each_s / CHANGED <= self._each_s <= each_s * CHANGED:
            self._each_s = each_s
            moments.look_back(min(max(each_s, FINEST_S), LONGEST_S), LONGEST_S)
        slack_s = self._slacks.quantile(IMPATIENT)
        is_patient = math.isinf(slack_s)
        if is_patient:
            slack_s = PATIENT_S
        span_s = min(max(now_s - self._since_s, SETTLED_S, slack_s), WINDOW_S)
        offered = max(total_s / span_s, _surge(moments.times_s, moments.work_s, slack_s))
        return Curve(
            offered=offered,
            slack_s=slack_s,
            calls_per_s=count / span_s,
            each_s=each_s,
            is_patient=is_patient,
            calls=moments.calls,
            demands=moments.within_s / (moments.spans_s + slack_s)[:, np.newaxis],
        )

    def tightest_s(self) -> float:
        """Returns the least slack of the calls in the window; infinite if none has a deadline."""
        return self._slacks.tightest_s()

    def _take_in(self) -> None:
        if self._new:
            self._moments.add(self._new)
            self._new.clear()

    def _forget(self, before_s: float) -> None:
        full = len(self._moments) >= MAX_MOMENTS
        self._moments.forget(before_s)
        self._slacks.forget(before_s)
        if not len(self._moments):
            self._since_s = None
        elif full:
            self._since_s = float(self._moments.times_s[0])


def _surge(moments_s: Array, work_s: Array, slack_s: float) -> float:
    """Returns the highest rate of work of a last part of the window, if it is to be lasting.

    The envelope believes of a burst only what has come of it. Whoever waits until a new rate has
    filled the window is late by as much; so a rate is expected to stay if it has lasted for longer
    than calls may wait: in either half of that time there was as much.
    """
    until_s = np.concatenate(([0.0], np.cumsum(work_s[::-1])))
    ages_s = moments_s[-1] - moments_s[::-1]
    halves_s = _doubled(max(LASTING_S, slack_s) / 2.0, WINDOW_S / 2.0)
    last = until_s[np.searchsorted(ages_s, halves_s)]
    both = until_s[np.searchsorted(ages_s, 2.0 * halves_s)]
    return float((np.minimum(last, both - last) / halves_s).max(initial=0.0))


def _doubled(first: float, end: float) -> Array:
    """Returns `first`, twice as much, and so on, as long as it is less than `end`."""
    count = int(np.ceil(np.log2(end / first))) if first < end else 0
    return first * np.exp2(np.arange(count))
