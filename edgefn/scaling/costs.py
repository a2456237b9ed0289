"""What a pool of replicas costs, and how many of them cost least.

The boxes of an edge are there anyway, and cost only the energy that they use; a cloud is paid by
the second. Where costs are told, calls that are late have a price instead of a bound.
"""

import math
from dataclasses import dataclass
from typing import Final

from edgefn.scaling.envelope import Curve

HORIZON_S: Final = 60.0  # what is started is expected to be of use for so long
BEST: Final = 0.9999  # more than what it takes to keep that share of the calls in time is no use


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCosts:
    """In any unit of money.

    Attributes:
        late: Of a call that is late or refused.
        replica_s: Of a replica for a second, used or not.
        switch: Of a start, or of an end.
        joule: Of energy.
        idle_w: Power of a replica that does nothing.
        busy_w: Power of one that runs.
    """

    late: float
    replica_s: float = 0.0
    switch: float = 0.0
    joule: float = 0.0
    idle_w: float = 0.0
    busy_w: float = 0.0

    def cheapest(self, curve: Curve, current: int) -> int:
        """Returns the number of replicas that costs least; of several the smallest.

        Args:
            curve: What came in.
            current: How many there are.
        """
        most = math.ceil(curve.need(BEST) - 1e-9)
        return min(range(most + 1), key=lambda count: self.per_s(curve, count, current))

    def per_s(self, curve: Curve, count: int, current: int) -> float:
        """Returns what so many replicas cost in a second."""
        working = min(curve.offered, count)
        power_w = count * self.idle_w + working * (self.busy_w - self.idle_w)
        return (
            count * self.replica_s
            + self.joule * power_w
            + self.late * curve.late(count) * curve.calls_per_s
            + self.switch * abs(count - current) / HORIZON_S
        )
