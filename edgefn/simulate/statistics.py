"""What several seeds say together: means, and differences between policies, with 95 % intervals.

Student's t: few seeds, unknown variance. Policies that are compared had the same calls and the same
luck at each seed (common random numbers), so that the difference at each seed is what varies, and
not the luck of the seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# 97.5 % quantiles of Student's t by degrees of freedom, from 1 on.
_T: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL: Final = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and how far it can be trusted.

    Attributes:
        mean: Of the values.
        reach: Half of the 95 % interval's width; infinite for one value, which tells nothing of it.
        count: Of the values.
    """

    mean: float
    reach: float
    count: int

    @property
    def low(self) -> float:
        """Where the interval begins."""
        return self.mean - self.reach

    @property
    def high(self) -> float:
        """Where it ends."""
        return self.mean + self.reach

    @property
    def differs_from_zero(self) -> bool:
        """Whether zero is outside of the interval."""
        return self.low > 0.0 or self.high < 0.0


def estimate(values: Sequence[float]) -> Estimate:
    """Returns the mean of independent values with its 95 % t-interval.

    Raises:
        ValueError: There are no values.
    """
    count = len(values)
    if not count:
        raise ValueError("there is no mean of no values")
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean=mean, reach=math.inf, count=1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    reach = t_quantile(count - 1) * math.sqrt(variance / count)
    return Estimate(mean=mean, reach=reach, count=count)


def paired(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Returns the mean of `first - second`, value by value.

    Args:
        first: One value a seed.
        second: At the same seeds, in the same order.

    Raises:
        ValueError: There are no values, or not equally many.
    """
    return estimate([one - other for one, other in zip(first, second, strict=True)])


def t_quantile(freedom: int) -> float:
    """Returns the 97.5 % quantile of Student's t.

    Beyond the table it is expanded around the normal's (Abramowitz and Stegun 26.7.5).

    Args:
        freedom: Degrees of it, at least 1.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = _NORMAL
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
