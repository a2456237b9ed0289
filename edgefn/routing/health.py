"""Endpoints that lose what is sent to them are left alone for a while, then tried with one call."""

from typing import Final

FAILURES: Final = 5
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0


class Health:
    """Of one endpoint.

    Attributes:
        failures: Calls lost in a row.
        until_s: It is left alone until then; 0: it is not.
    """

    __slots__ = ("_next_s", "failures", "until_s")

    def __init__(self) -> None:
        self.until_s = 0.0
        self.failures = 0
        self._next_s = _FIRST_S

    def answered(self) -> None:
        """Takes note of an answer, whatever it is: of interest after failures only."""
        self.failures = 0
        self._next_s = _FIRST_S
        self.until_s = 0.0

    def failed(self) -> bool:
        """Takes note of a call that was lost; returns whether it should be left alone."""
        self.failures += 1
        return self.failures >= FAILURES

    def eject(self, now_s: float) -> None:
        """Leaves it alone, twice as long as the last time; after that one failure is enough."""
        self.until_s = now_s + self._next_s
        self._next_s = min(2.0 * self._next_s, _LONGEST_S)

    @property
    def on_trial(self) -> bool:
        """Whether its next call decides about it."""
        return self.failures >= FAILURES
