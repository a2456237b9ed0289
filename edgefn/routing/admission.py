"""Whose calls are refused when there are too many of all: those of low priority first.

A feedback loop as in DAGOR (Zhou et al., SoCC 2018), over all functions of a gateway, because they
share its box: while calls wait too long or are dropped, a larger share of the load is refused
before it costs anything, from the lowest priority upwards; while all is well a little of it is let
in again. The highest priority that was seen lately is never refused here: among equals the
prediction of each call's own chance knows better whom to send away.
"""

from typing import Final

from edgefn.routing.decisions import Rng

PRIORITIES: Final = 10
WINDOW_TICKS: Final = 10
_MAX_DROPS: Final = 0.02  # share of outcomes
_MAX_WAIT: Final = 0.3  # of a call's budget, on average; but
_LEAST_WAIT_S: Final = 0.02  # that much is never too long
_LEAST_OUTCOMES: Final = 10.0
_CUT: Final = 0.05
_GIVE_BACK: Final = 0.02
_MOST: Final = 0.95
_FADE: Final = 0.9  # of what was counted, at each tick: a window of a second


class Admission:
    """Of one gateway.

    Attributes:
        refuses: Whether any priority is refused now.
    """

    __slots__ = (
        "_arrived",
        "_dropped",
        "_level",
        "_limits_s",
        "_outcomes",
        "_part",
        "_share",
        "_waits_s",
        "refuses",
    )

    def __init__(self) -> None:
        self.refuses = False
        self._arrived = [0.0] * PRIORITIES
        self._level = 0  # lower priorities are refused,
        self._part = 0.0  # and this part of this one
        self._share = 0.0
        self._outcomes = self._dropped = 0.0
        self._waits_s = self._limits_s = 0.0

    def arrived(self, priority: int) -> None:
        """Counts a call."""
        self._arrived[priority] += 1.0

    def admits(self, priority: int, rng: Rng) -> bool:
        """Whether a call may be sent."""
        if priority == self._level:
            return rng() >= self._part
        return priority > self._level

    def answered(self, wait_s: float, budget_s: float) -> None:
        """Counts a call that ran, and how long it had waited for that."""
        self._outcomes += 1.0
        self._waits_s += wait_s
        limit_s = _MAX_WAIT * budget_s
        self._limits_s += limit_s if _LEAST_WAIT_S < limit_s < 1.0 else _LEAST_WAIT_S

    def dropped(self) -> None:
        """Counts a call that had no chance, was dropped, or came too late."""
        self._outcomes += 1.0
        self._dropped += 1.0

    def tick(self) -> None:
        """Looks whether all is well; every 100 ms."""
        if self._overloaded():
            self._share += _CUT * (1.0 - self._share)
        elif self._share:
            self._share = max(0.0, self._share - _GIVE_BACK)
        self._cut()
        self._outcomes *= _FADE
        self._dropped *= _FADE
        self._waits_s *= _FADE
        self._limits_s *= _FADE
        self._arrived = [count * _FADE if count > 0.01 else 0.0 for count in self._arrived]

    def _overloaded(self) -> bool:
        if self._outcomes < _LEAST_OUTCOMES:
            return False
        return self._dropped > _MAX_DROPS * self._outcomes or self._waits_s > self._limits_s

    def _cut(self) -> None:
        """Finds the level below which the share is refused."""
        arrived = self._arrived
        highest = max((level for level in range(PRIORITIES) if arrived[level]), default=0)
        below = sum(arrived[:highest])
        rest = min(self._share * sum(arrived), _MOST * below)
        self.refuses = rest > 0.0
        self._share = min(self._share, _MOST * below / (sum(arrived) or 1.0))
        self._level, self._part = 0, 0.0
        for level in range(highest):
            if arrived[level] > rest:
                self._level, self._part = level, rest / arrived[level]
                return
            rest -= arrived[level]
