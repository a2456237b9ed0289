"""How long to wait before a delivery is tried again: growing, bounded, and never in step.

Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", 2015): boxes that
lost the same receiver do not come back to it all at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays between tries.

    Attributes:
        first_s: Bound of the first delay; it doubles with each failure.
        longest_s: Never more.
        least_s: Never less.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    least_s: float = 0.05

    def delay_s(self, failures: int, uniform: float) -> float:
        """Returns the delay after so many failures in a row, from 1.

        Args:
            failures: In a row.
            uniform: Drawn evenly from 0 to 1.
        """
        bound_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(self.least_s, bound_s * uniform)
