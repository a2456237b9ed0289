"""What bursts need beyond the rate, remembered for longer than the rate itself.

The rate of a stream is learnt again within a second. How bursty it is is not, and whoever forgets
it has too few servers for the next burst. Staffing theory has the servers beyond the rate grow with
its square root (Halfin and Whitt, 1981) times a number that depends on burstiness, slack and SLO;
here that number is what was seen.
"""

import math
from typing import Final

from edgefn.scaling.windows import Highest

WITHIN_S: Final = 60.0
KEPT: Final = 0.25  # of the highest: the next burst is hardly ever as bad as the worst of a minute


class Headroom:
    """That of one stream of calls."""

    def __init__(self) -> None:
        self._beyond = Highest()

    def push(self, now_s: float, need: float, rate: float) -> float:
        """Takes in how many servers the calls of late need; returns how many there should be.

        Args:
            now_s: When that was.
            need: Servers, for the rate and for bursts.
            rate: Servers for the rate alone.
        """
        if rate <= 0.0:
            return need
        root = math.sqrt(rate)
        beyond = self._beyond.push(now_s, (need - rate) / root, WITHIN_S)
        return max(need, rate + KEPT * beyond * root)
