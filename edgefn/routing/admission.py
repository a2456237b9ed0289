"""Whose calls are refused when there are too many of all: those of low priority first.

A feedback loop as in DAGOR (Zhou et al., SoCC 2018), over all functions of a gateway, because they
share its box: while calls wait too long or are lost for want of capacity, a larger share of the
load is refused before it costs anything, from the lowest priority upwards; while all is well a
little of it is let in again.

A priority is refused for the good of the higher ones only. What is lost of its own, or of lower
ones, is no reason to refuse more of it: among equals the prediction of each call's own chance knows
better whom to send away (`crowding.py`). Nor is a loss that no refusal would have prevented: a slow
path, or a deadline that is too near even for an idle server.
"""

from typing import Final

from edgefn.routing.crowding import Crowding
from edgefn.routing.decisions import Rng, Send
from edgefn.routing.weighing import HOPELESS_SDS

PRIORITIES: Final = 10
_MAX_LOST: Final = 0.02  # share of calls, and
_LEAST_LOST: Final = 2.0  # at least as many
_MAX_WAIT: Final = 0.3  # of a call's budget, on average; but
_LEAST_WAIT_S: Final = 0.02  # that much is never too long,
_MOST_WAIT_S: Final = 1.0  # and this always is
_LEAST_CALLS: Final = 10.0
_CUT: Final = 0.02
_GIVE_BACK: Final = 0.04
_MOST: Final = 0.95
_FADE: Final = 0.9  # of what was counted, at each tick: a window of a second


class Admission:
    """Of one gateway.

    Attributes:
        refuses: Whether any priority is refused now.
    """

    __slots__ = (
        "_arrived",
        "_crowding",
        "_excess_s",
        "_level",
        "_lost",
        "_part",
        "_share",
        "_sheltered",
        "refuses",
    )

    def __init__(self) -> None:
        self.refuses = False
        self._crowding = Crowding()
        self._arrived = [0.0] * PRIORITIES
        self._lost = [0.0] * PRIORITIES
        self._excess_s = [0.0] * PRIORITIES  # of waits over what they may be
        self._level = PRIORITIES - 1  # lower priorities are refused,
        self._part = 0.0  # and this part of this one
        self._share = 0.0
        self._sheltered = PRIORITIES  # from this one on, a small chance will do

    def arrived(self, priority: int) -> None:
        """Counts a call."""
        self._arrived[priority] += 1.0
        self._crowding.calls += 1.0

    def admits(self, priority: int, rng: Rng) -> bool:
        """Whether a call may be sent."""
        if priority == self._level:
            return rng() >= self._part
        return priority > self._level

    def refused_share(self, priority: int) -> float:
        """Returns how many calls of a priority are refused, of all of them."""
        if not self.refuses or priority > self._level:
            return 0.0
        return self._part if priority == self._level else 1.0

    def least_sds(self, priority: int) -> float:
        """Returns by how many standard deviations a call that has to wait must fit its budget.

        There is room for those of high priority while lower ones can still be refused instead.
        """
        return HOPELESS_SDS if priority >= self._sheltered else self._crowding.least_sds

    def sent(self, send: Send, priority: int) -> None:
        """Counts a call that is sent for the first time."""
        send.priority = priority
        if send.queued_s > 0.0:
            self._crowding.lost += 1.0 - send.chance

    def answered(self, send: Send, wait_s: float, *, in_time: bool) -> None:
        """Counts what came of a call that was sent, after it waited so long.

        Losses after no queue was predicted are the network's, or those of a wrong prediction.
        """
        if send.purpose != "first":
            return
        priority = send.priority
        limit_s = _MAX_WAIT * (send.deadline_s - send.sent_s)
        if limit_s > _MOST_WAIT_S:
            limit_s = _MOST_WAIT_S
        self._excess_s[priority] += wait_s - (limit_s if limit_s > _LEAST_WAIT_S else _LEAST_WAIT_S)
        if send.queued_s > 0.0:
            if in_time:
                self._crowding.lost += send.chance - 1.0
            else:
                self._crowding.lost += send.chance
                self._lost[priority] += 1.0

    def refused(self, priority: int) -> None:
        """Counts a call that was refused because too much was queued before it."""
        self._crowding.lost += 1.0
        self._lost[priority] += 1.0

    def shed(self) -> None:
        """Counts a call that was refused for the good of higher priorities."""
        self._crowding.lost += 1.0

    def tick(self) -> None:
        """Looks whether all is well; every 100 ms."""
        self._crowding.tick()
        if self._others_suffer():
            self._share += _CUT * (1.0 - self._share)
        elif self._share:
            self._share = max(0.0, self._share - _GIVE_BACK)
        self._cut()
        self._arrived = [count * _FADE if count > 0.01 else 0.0 for count in self._arrived]
        self._lost = [count * _FADE for count in self._lost]
        self._excess_s = [excess_s * _FADE for excess_s in self._excess_s]

    def _others_suffer(self) -> bool:
        """Whether those who gain from refusals need more of them."""
        above = self._level + 1
        calls = sum(self._arrived[above:])
        if sum(self._lost[above:]) > max(_LEAST_LOST, _MAX_LOST * calls):
            return True
        return calls >= _LEAST_CALLS and sum(self._excess_s[above:]) > 0.0

    def _cut(self) -> None:
        """Finds the level below which the share is refused."""
        arrived = self._arrived
        highest = max((level for level in range(PRIORITIES) if arrived[level]), default=0)
        below, calls = sum(arrived[:highest]), sum(arrived) or 1.0
        self._share = min(self._share, _MOST * below / calls)
        rest = self._share * calls
        self.refuses = rest > 0.0
        self._level, self._part = highest, 0.0
        for level in range(highest):
            if arrived[level] > rest:
                self._level, self._part = level, rest / arrived[level]
                break
            rest -= arrived[level]
        spent = self._share >= _MOST * below / calls
        self._sheltered = PRIORITIES if spent else self._level + 1


def valid_priority(priority: int) -> int:
    """Returns the nearest priority that there is."""
    if 0 <= priority < PRIORITIES:
        return priority
    return 0 if priority < 0 else PRIORITIES - 1
