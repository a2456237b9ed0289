"""How many servers a stream of calls needs to be in time: the arrival-conditioned demand envelope.

A call is in time if the work that came with it and up to `d` before it fits into `d` and the time
that the call may wait, for every `d`: n servers do `n * (d + slack)` of it. The quantile of what
calls need, for the share that the SLO asks for, is the number of servers. This is the work envelope
of network calculus (Cruz, 1991), taken from what was seen instead of from a contract. The quantile
is over calls, not over time: most calls of a bursty stream come when it bursts.

No queueing formula is needed, and none of its assumptions: bursts that are shorter than the slack
cost nothing, others as much as they must.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
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
        needs: Servers that each moment needs.
    """

    offered: float = 0.0
    slack_s: float = 0.0
    calls_per_s: float = 0.0
    each_s: float = 0.0
    is_patient: bool = False
    calls: Array = field(default_factory=lambda: np.empty(0))
    needs: Array = field(default_factory=lambda: np.empty(0))

    @property
    def steady(self) -> float:
        """How many servers are enough if calls come one after the other at an even pace."""
        return self.offered / (OVERFULL if self.is_patient else FULL)

    def need(self, slo: float) -> float:
        """Returns how many servers keep that share of the calls in time; it is not a whole one."""
        needs = self.needs
        if not len(needs):
            return 0.0
        may_be_late = (1.0 - slo) * float(self.calls.sum())
        most = min(int(may_be_late) + 1, len(needs))  # each moment has a call at least
        top = needs.argpartition(-most)[-most:]
        top = top[needs[top].argsort()[::-1]]
        late = self.calls[top].cumsum()
        return max(self.steady, float(needs[top[late.searchsorted(may_be_late, side="right")]]))

    def late(self, servers: float) -> float:
        """Returns the share of the calls that are late with so many servers, as a lower bound."""
        if not len(self.needs):
            return 0.0
        late = float(self.calls[self.needs > servers].sum())
        return max(late / float(self.calls.sum()), 1.0 - servers / self.steady)


class Envelope:
    """The calls of the last `WINDOW_S`."""

    def __init__(self) -> None:
        self._moments = Moments()
        self._slacks = Slacks()
        self._new: list[DemandReport] = []
        self._since_s: float | None = None  # the stream began, or began again
        self._each_s = 0.0  # of a run, when the spans were set
        self._slack_s = 0.0  # for which the needs were found out
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
        count = float(moments.calls.sum())
        each_s = moments.work_s / count
        if each_s <= 0.0:
            return Curve()
        slack_s = self._slacks.quantile(IMPATIENT)
        is_patient = math.isinf(slack_s)
        if is_patient:
            slack_s = PATIENT_S
        self._find_out(each_s, slack_s)
        span_s = min(max(now_s - self._since_s, SETTLED_S, slack_s), WINDOW_S)
        return Curve(
            offered=max(moments.work_s / span_s, _surge(moments, slack_s)),
            slack_s=slack_s,
            calls_per_s=count / span_s,
            each_s=each_s,
            is_patient=is_patient,
            calls=moments.calls,
            needs=moments.needs,
        )

    def tightest_s(self) -> float:
        """Returns the least slack of the calls in the window; infinite if none has a deadline."""
        return self._slacks.tightest_s()

    def _find_out(self, each_s: float, slack_s: float) -> None:
        """Finds out again what all moments need, if runs or deadlines are not what they were."""
        if not each_s / CHANGED <= self._each_s <= each_s * CHANGED:
            shortest_s = min(max(each_s, FINEST_S), LONGEST_S)
            self._moments.set_spans(shortest_s, LONGEST_S, slack_s)
            self._each_s, self._slack_s = each_s, slack_s
        elif slack_s != self._slack_s:
            self._moments.set_slack(slack_s)
            self._slack_s = slack_s

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


def _surge(moments: Moments, slack_s: float) -> float:
    """Returns the highest rate of work of a last part of the window, if it is to be lasting.

    The envelope believes of a burst only what has come of it. Whoever waits until a new rate has
    filled the window is late by as much; so a rate is expected to stay if it has lasted for longer
    than calls may wait: in either half of that time there was as much.
    """
    halves_s = _halves_s(max(LASTING_S, slack_s) / 2.0)
    ends_s = float(moments.times_s[-1]) - halves_s
    until_s = np.concatenate(((moments.before_s,), moments.until_s))
    last, both = until_s[-1] - until_s[moments.times_s.searchsorted(ends_s, side="right")]
    return float((np.minimum(last, both - last) / halves_s[0]).max(initial=0.0))


@lru_cache(maxsize=256)
def _halves_s(first_s: float) -> Array:
    """Returns `first_s`, twice as much, and so on up to half of the window; and their doubles."""
    count = max(math.ceil(math.log2(WINDOW_S / 2.0 / first_s)), 0)
    halves_s = first_s * np.exp2(np.arange(count))
    return np.stack((halves_s, 2.0 * halves_s))
