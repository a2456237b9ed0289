"""How long a variant runs: what the bundle says was measured, corrected by what is reported.

The profile gives the shape, `fixed_s + n * each_s` for a batch of n; what is learned is by how much
this box differs from the machine that it was measured on. The profile counts for `PROFILE_WEIGHT`
samples. Without one, a slower sample is believed slowly (one outlier must not refuse the next
calls), and a faster one quickly: hope costs little, since the replica checks again.
"""

from typing import Final

PROFILE_WEIGHT: Final = 20.0
_LEAST_S: Final = 1e-6  # no clock of ours tells less
_MOST_WEIGHT: Final = 50.0
_RISE: Final = 0.2
_FALL: Final = 0.5
_MAX_RISE: Final = 4.0  # a sample counts for at most so many times what was expected


class Service:
    """One variant's time on a server of speed 1.

    Attributes:
        fixed_s: Of a run, whatever its batch; 0 for both while nothing is known.
        each_s: Of each call in it.
        cv: Coefficient of variation.
    """

    __slots__ = ("_profiled", "_weight", "cv", "each_s", "fixed_s")

    def __init__(self, fixed_s: float, each_s: float, cv: float) -> None:
        self.fixed_s = fixed_s
        self.each_s = each_s
        self.cv = cv
        self._profiled = fixed_s + each_s > 0.0
        self._weight = PROFILE_WEIGHT

    def learn(self, took_s: float, batch: int) -> None:
        """Takes the time of a run, as it would have been on a server of speed 1."""
        if took_s < _LEAST_S:
            took_s = _LEAST_S
        expected_s = self.fixed_s + batch * self.each_s
        if expected_s <= 0.0:
            self.each_s = took_s / batch
            return
        excess = took_s / expected_s - 1.0
        if excess > _MAX_RISE - 1.0:
            excess = _MAX_RISE - 1.0
        if self._profiled:
            self._weight += 1.0
            gain = 1.0 / self._weight if self._weight < _MOST_WEIGHT else 1.0 / _MOST_WEIGHT
        else:
            gain = _RISE if excess > 0.0 else _FALL
        factor = 1.0 + gain * excess
        self.fixed_s *= factor
        self.each_s *= factor
