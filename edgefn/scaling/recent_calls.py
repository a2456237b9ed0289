"""How many calls are to be expected soon, from how many came of late."""

import math
from typing import Final

WITHIN_S: Final = 60.0


class RecentCalls:
    """Counts calls, of which each is forgotten bit by bit.

    If they come at a steady rate, the count is how many come in `WITHIN_S`.
    """

    def __init__(self) -> None:
        self._count = 0.0
        self._counted_s = 0.0

    def add(self, now_s: float, calls: int) -> None:
        """Counts calls that came just now."""
        self._count = self.expected(now_s) + calls
        self._counted_s = now_s

    def expected(self, now_s: float) -> float:
        """Returns how many are expected to come in the next `WITHIN_S`."""
        return self._count * math.exp(min(self._counted_s - now_s, 0.0) / WITHIN_S)
