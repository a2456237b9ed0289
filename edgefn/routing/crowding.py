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
_FEW: Final = 0.2  # share of calls lost, up to which a small chance will do
_MANY: Final = 0.3  # and from which on only a sure one does
_LEAST_CALLS: Final = 10.0
_FADE: Final = 0.9  # of what was counted, at each tick: a window of a second


class Crowding:
    """Of one gateway, whose functions share its servers.

    Attributes:
        least_sds: Standard deviations by which a call that has to wait must fit its budget.
    """

    __slots__ = ("_calls", "_lost", "least_sds")

    def __init__(self) -> None:
        self.least_sds = HOPEFUL_SDS
        self._calls = 0.0
        self._lost = 0.0

    def arrived(self) -> None:
        """Counts a call."""
        self._calls += 1.0

    def lost(self, share: float) -> None:
        """Counts a call as lost, or a part of one; less than 0 takes it back."""
        self._lost += share

    def tick(self) -> None:
        """Sets anew what is required; every 100 ms."""
        self._lost = max(self._lost, 0.0)
        share = self._lost / max(self._calls, _LEAST_CALLS)
        part = min(max((share - _FEW) / (_MANY - _FEW), 0.0), 1.0)
        self.least_sds = HOPEFUL_SDS + part * (SURE_SDS - HOPEFUL_SDS)
        self._calls *= _FADE
        self._lost *= _FADE
