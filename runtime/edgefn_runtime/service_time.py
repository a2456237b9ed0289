"""How long a batch takes, learned while batches run.

Service time is taken to be affine in the size of the batch: a fixed part for what is done once, and
a part for each call. Both are fitted by least squares with exponential forgetting (Ljung,
"System Identification", 2nd ed., 11.2), so that the estimate follows a machine that slows down.

Plain least squares has two failures here. One outlier, a page fault or a neighbour's burst, raises
the estimate so far that calls are refused which would have been answered; and an estimate that
refuses every call gets no new observation, and so stays. Therefore bad news is believed slowly
(an observation counts for at most `MAX_RISE` times what was predicted), good news at once (the past
is all but forgotten when a batch took less than half of what was predicted), and the first batch of
a process, which pays for what is initialised lazily, only bounds the second from above. What
remains of the second failure is the queue's business: it probes.
"""

import math
from typing import Final

FORGET: Final = 0.95  # weight that an observation keeps at the next one: a memory of about twenty
FADE: Final = 0.001  # the same at good news: the past is all but forgotten
MAX_RISE: Final = 4.0
FLOOR_S: Final = 1e-4  # an observation is never cut below this: a prediction of 0 could not rise
_MAX_CALLS: Final = 2**31


class ServiceTime:
    """The learned service time of one replica, in seconds. Zero until something is known."""

    __slots__ = (
        "_each_s",
        "_first_s",
        "_fixed_s",
        "_observed",
        "_weight",
        "_x",
        "_xx",
        "_xy",
        "_y",
    )

    def __init__(self) -> None:
        self._observed = 0
        self._first_s = 0.0  # a call of the first batch
        self._weight = self._x = self._y = self._xx = self._xy = 0.0
        self._fixed_s = 0.0
        self._each_s = 0.0

    def predict(self, batch: int) -> float:
        """Returns how long a batch of so many calls is expected to take, in seconds."""
        return self._fixed_s + self._each_s * batch

    def fitting(self, slack_s: float) -> int:
        """Returns the largest batch that is expected to take at most `slack_s`; it may be 0."""
        if slack_s <= 0.0 or slack_s < self._fixed_s:
            return 0
        if self._each_s <= 0.0 or math.isinf(slack_s):
            return _MAX_CALLS
        calls = min(int((slack_s - self._fixed_s) / self._each_s), _MAX_CALLS)
        # The division rounds; `predict` is what counts.
        if self.predict(calls + 1) <= slack_s:
            return calls + 1
        return calls if self.predict(calls) <= slack_s else calls - 1

    def observe(self, batch: int, duration_s: float) -> None:
        """Learns from a batch of `batch` calls that took `duration_s`."""
        self._observed = observed = self._observed + 1
        if observed == 1:
            self._first_s = duration_s / batch
            return
        forget = FORGET
        if observed == 2:
            duration_s = min(duration_s, self._first_s * batch)
        else:
            predicted_s = self._fixed_s + self._each_s * batch
            most_s = MAX_RISE * predicted_s
            if duration_s > most_s:
                duration_s = min(duration_s, max(most_s, FLOOR_S))
            elif duration_s < predicted_s / 2:
                forget = FADE
        self._weight = self._weight * forget + 1.0
        self._x = self._x * forget + batch
        self._y = self._y * forget + duration_s
        self._xx = self._xx * forget + batch * batch
        self._xy = self._xy * forget + batch * duration_s
        self._fit()

    def _fit(self) -> None:
        """Solves for the two parts, neither of which can be negative."""
        weight, x, y, xx = self._weight, self._x, self._y, self._xx
        spread = weight * xx - x * x
        if spread <= 1e-9 * weight * xx:
            # One size only was seen: assume that a batch saves nothing, which promises least.
            self._fixed_s, self._each_s = 0.0, y / x
            return
        each_s = (weight * self._xy - x * y) / spread
        fixed_s = (y - each_s * x) / weight
        if each_s < 0.0:
            fixed_s, each_s = y / weight, 0.0
        elif fixed_s < 0.0:
            fixed_s, each_s = 0.0, self._xy / xx
        self._fixed_s, self._each_s = fixed_s, each_s
