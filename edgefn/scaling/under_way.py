"""What a variant needs as long as nobody knows how long its calls run.

Like the Kubernetes HorizontalPodAutoscaler it works with two stabilisation windows: the number
rises to the lowest that was wanted all through a short window, and falls towards the highest that
was wanted at any time of a long one. A load that does not change gives both windows the same
numbers, so it never makes the result flap.

What is wanted follows from the calls that are under way. A replica runs one batch at a time, so
with two batches of calls under way one runs and one forms; with more, a new call waits for longer
than a whole batch takes, and another replica would have answered it sooner. An asynchronous
function overlaps its calls, and is full when it runs as many as it may.
"""

import math
from typing import Final

from edgefn.scaling.windows import Highest

UP_S: Final = 0.6  # three reports of a gateway: one burst is not yet a load
RELUCTANCE: Final = 2  # a replica is given up only if the others would be this far from full


class UnderWay:
    """The two windows of one variant."""

    def __init__(self) -> None:
        self._down = Highest()
        self._up = Highest()

    def push(
        self, now_s: float, calls: int, *, calls_per_replica: int, called: bool, hold_s: float
    ) -> tuple[int, int]:
        """Takes in how many calls are under way; returns between which numbers to stay.

        Args:
            now_s: When that was.
            calls: Under way.
            calls_per_replica: That one replica is meant to have.
            called: Whether any came since the last time.
            hold_s: How long the higher number is held.
        """
        needed = math.ceil(calls / calls_per_replica)
        comfortable = max(math.ceil(calls * RELUCTANCE / calls_per_replica), int(called))
        lowest = -self._up.push(now_s, -needed, UP_S)
        return int(lowest), int(self._down.push(now_s, comfortable, hold_s))
