"""How sure a call must be of its answer before it may join a queue: the surer, the more are lost.

While few calls are lost a small chance is better than none: most queues are gone before their last
call would be late. Where more is asked for than can be done, every place in a queue will be used by
someone; there, a call of small chance delays others, and its caller is told at the deadline what a
refusal had told at once. So the chance that is required rises with the share of calls that are lost
for want of capacity, refused ones too.

A loss counts when it becomes likely, not when it is known: a call that is sent counts with the
probability of its being late, and its outcome corrects that. A queue of a deadline's length has
otherwise formed before the first call in it is late.
"""

from typing import Final

HOPEFUL_SDS: Final = -1.0  # a chance of 16 %
SURE_SDS: Final = 1.28  # one of 90 %
_LEAST_CALLS: Final = 10.0


class _Window:
    """The share of calls lost of late.

    Args:
        kept: Of what was counted, at each tick.
        few: Share up to which a small chance will do,
        many: and from which on only a good one does.
    """

    __slots__ = ("_calls", "_few", "_kept", "_lost", "_many")

    def __init__(self, *, kept: float, few: float, many: float) -> None:
        self._kept, self._few, self._many = kept, few, many
        self._calls = 0.0
        self._lost = 0.0

    def add(self, calls: float, lost: float) -> float:
        """Takes what a tick brought, and returns how far from few to many it is, from 0 to 1."""
        self._calls = self._kept * self._calls + calls
        self._lost = max(0.0, self._kept * self._lost + lost)
        share = self._lost / max(self._calls, _LEAST_CALLS)
        return min(max((share - self._few) / (self._many - self._few), 0.0), 1.0)


class Crowding:
    """Of one gateway, whose functions share its servers.

    Attributes:
        calls: That came since the last tick.
        lost: How many of all were lost since then, for want of capacity; less than 0 if some that
            were given up for lost were not.
        least_sds: Standard deviations by which a call that has to wait must fit its budget.
    """

    __slots__ = ("_fast", "_slow", "calls", "least_sds", "lost")

    def __init__(self) -> None:
        self.calls = 0.0
        self.lost = 0.0
        self.least_sds = HOPEFUL_SDS
        self._slow = _Window(kept=0.9, few=0.2, many=0.35)  # a second
        self._fast = _Window(kept=0.6, few=0.3, many=0.5)  # for a sudden flood

    def tick(self) -> None:
        """Sets anew what is required; every 100 ms."""
        part = max(one.add(self.calls, self.lost) for one in (self._slow, self._fast))
        self.calls = self.lost = 0.0
        self.least_sds = HOPEFUL_SDS + part * (SURE_SDS - HOPEFUL_SDS)
