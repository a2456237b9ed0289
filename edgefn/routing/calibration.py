"""How far predictions are to be trusted: a quantile, learned from how often it was exceeded.

`U = mean + z * sd` shall be exceeded by a share of `MISSES` of the calls, whatever their
distribution: after each outcome z moves up a little if it was, and down a little less if it was not
(adaptive conformal inference; Gibbs and Candès, 2021). This also takes care of the winner's curse:
the endpoint that is chosen is the one whose prediction errs on the good side.

And how much of a queue a call has to wait for: those whose deadlines are near overtake the others,
so that a function's own share of what is queued before its calls is learned from what they did
wait. Counting a call's way through the queue by the deadlines in it instead would be exact for that
call, and blind for those that it pushes back.
"""

from math import erfc, inf
from typing import Final

MISSES: Final = 0.02
NORMAL_QUANTILE: Final = 2.05  # of a share of `MISSES`
_START: Final = 1.3
_STEP: Final = 0.05
_LOWEST: Final = 0.3
_HIGHEST: Final = 5.0
_HALF_LIFE_S: Final = 60.0
_KEPT: Final = 0.98  # of the waits that were seen, at the next one
_FIRST_WAIT_S: Final = 0.2  # for so long, in sum, the share is taken for 1
_LEAST_SHARE: Final = 0.1
_LARGEST_SHARE: Final = 2.0
_CERTAIN_SDS: Final = 4.0
_SQRT_HALF: Final = 0.5**0.5


class Calibration:
    """Of one function's calls to one tier.

    Attributes:
        z: Standard deviations up to the bound.
        scale: What a standard deviation is multiplied by, if the normal distribution is to have its
            quantile there.
        wait_share: What a call waits, relative to what is queued before it.
    """

    __slots__ = ("_learned_s", "_queued_s", "_waited_s", "scale", "wait_share", "z")

    def __init__(self, now_s: float) -> None:
        self.z = _START
        self.scale = _START / NORMAL_QUANTILE
        self._learned_s = now_s
        self.wait_share = 1.0
        self._queued_s = self._waited_s = _FIRST_WAIT_S

    def learn(self, now_s: float, missed: bool) -> None:
        """Takes whether a call exceeded its bound."""
        z = self.z
        quiet_s = now_s - self._learned_s
        if quiet_s > 1.0:
            z = _START + (z - _START) * 0.5 ** (quiet_s / _HALF_LIFE_S)
        self._learned_s = now_s
        z += _STEP * (1.0 - MISSES) if missed else -_STEP * MISSES
        self.z = z = _LOWEST if z < _LOWEST else _HIGHEST if z > _HIGHEST else z
        self.scale = z / NORMAL_QUANTILE

    def waited(self, waited_s: float, queued_s: float) -> None:
        """Takes how long a call waited where so much was queued before it."""
        self._waited_s = waited = _KEPT * self._waited_s + waited_s
        self._queued_s = queued = _KEPT * self._queued_s + queued_s
        share = waited / queued
        self.wait_share = (
            _LEAST_SHARE
            if share < _LEAST_SHARE
            else _LARGEST_SHARE
            if share > _LARGEST_SHARE
            else share
        )


def chance_of(slack_s: float, sd_s: float) -> float:
    """Returns the probability that a normal variable is at most `slack_s` above its mean."""
    if slack_s > _CERTAIN_SDS * sd_s:
        return 1.0
    if sd_s <= 0.0 or slack_s == -inf:
        return 0.0
    return 0.5 * erfc(-_SQRT_HALF * slack_s / sd_s)
