"""When a function that keeps dying is started again, and when no more."""

from collections import deque
from typing import Final

DEATHS: Final = 5
WITHIN_S: Final = 60.0
FIRST_DELAY_S: Final = 0.1


class CrashLoop:
    """Counts the deaths of one function's replicas.

    The first death within a minute is followed by a new replica at once, each further one by twice
    the delay of the one before; after the fifth the function is quarantined. Pure: time is handed
    in.
    """

    def __init__(self) -> None:
        self._deaths_s: deque[float] = deque(maxlen=DEATHS)
        self._quarantined_because = ""

    @property
    def quarantined_because(self) -> str:
        """Why no replica is started any more; empty if that is not so."""
        return self._quarantined_because

    def died(self, now_s: float, reason: str) -> None:
        """Takes note of a death."""
        self._deaths_s.append(now_s)
        if self._recent(now_s) >= DEATHS and not self._quarantined_because:
            self.quarantine(f"{DEATHS} replicas died within {WITHIN_S:g} s, the last one: {reason}")

    def quarantine(self, reason: str) -> None:
        """Forbids any start, until the next deployment."""
        self._quarantined_because = reason

    def may_start(self, now_s: float) -> bool:
        """Whether a replica may be started now."""
        if self._quarantined_because:
            return False
        recent = self._recent(now_s)
        if recent < 2:
            return True
        delay_s: float = FIRST_DELAY_S * 2 ** (recent - 2)
        return now_s >= self._deaths_s[-1] + delay_s

    def _recent(self, now_s: float) -> int:
        return sum(at_s > now_s - WITHIN_S for at_s in self._deaths_s)
