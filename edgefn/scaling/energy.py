"""How many replicas take least energy, for functions of which it is declared that energy counts.

Nobody measures the power of one process, so there is a model, in seconds of a busy replica: one
that waits for calls takes a small share of that, a start takes as long as it lasts, and a late call
is worth as many runs as it is to the router. What calls take that are answered is not saved: all
are to be.
"""

from typing import Final

from edgefn.scaling.envelope import Curve

IDLE: Final = 0.05  # of the power of a replica that runs
LATE_RUNS: Final = 3.0  # as the router weighs them where energy counts
HORIZON_S: Final = 60.0  # what is started is expected to be of use for so long


def thriftiest(curve: Curve, *, most: int, current: int, boot_s: float) -> int:
    """Returns the number of replicas that takes least; of several the smallest.

    It is 1 at least, if any is needed: whether the last one stays is decided by who may call next.

    Args:
        curve: What came in.
        most: Never more, because they are not needed for the SLO.
        current: How many there are.
        boot_s: How long a start takes.
    """

    def power(count: int) -> float:
        waiting = max(count - curve.offered, 0.0)
        late = curve.late(count) * curve.calls_per_s * curve.each_s
        started = max(count - current, 0)
        return IDLE * waiting + LATE_RUNS * late + started * boot_s / HORIZON_S

    return min(range(min(most, 1), most + 1), key=power)


def hold_s(boot_s: float) -> float:
    """Returns for how long a replica that waits takes less than a start."""
    return boot_s / IDLE
