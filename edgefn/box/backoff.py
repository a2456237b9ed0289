"""How long to wait before a child of the box is started again."""

from typing import Final

STEADY_S: Final = 5.0
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0


class Backoff:
    """Delays of restarts: none after a steady life, then doubling for those that die at once."""

    def __init__(self) -> None:
        self._short_lives = 0

    def after(self, lived_s: float) -> float:
        """Returns the seconds to wait, for a child that lived for `lived_s`."""
        if lived_s >= STEADY_S:
            self._short_lives = 0
            return 0.0
        self._short_lives += 1
        if self._short_lives == 1:
            return 0.0
        return min(FIRST_DELAY_S * 2.0 ** (self._short_lives - 2), LONGEST_DELAY_S)
