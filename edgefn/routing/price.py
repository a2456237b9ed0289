"""What work costs at a place that has too much of it.

A virtual queue (drift plus penalty; Neely, 2010): it grows with the work that is sent there, and
drains at `TARGET` of what its servers can do. Its length is the price of a second of work, so that
scarce servers are left to the calls that gain most from them.
"""

from typing import Final

TARGET: Final = 0.95
_PRICE: Final = 2.0
_LONGEST_S: Final = 2.0
_MEMORY: Final = 0.2  # weight of the last tick in the utilisation


class Pool:
    """The servers of one place.

    Attributes:
        servers: Calls that they run at the same time.
        price: Of a second of work.
        utilisation: Share of what they can do that was asked of them lately.
    """

    __slots__ = ("_queue_s", "_sent_s", "price", "servers", "utilisation")

    def __init__(self) -> None:
        self.servers = 0
        self.price = 0.0
        self.utilisation = 0.0
        self._queue_s = 0.0
        self._sent_s = 0.0

    def sent(self, work_s: float) -> None:
        """Counts work that is sent there."""
        self._sent_s += work_s

    def tick(self, passed_s: float) -> None:
        """Sets the price anew, `passed_s` after the last time."""
        work_s = self._sent_s / max(1, self.servers)
        self._sent_s = 0.0
        queue_s = self._queue_s + work_s - TARGET * passed_s
        self._queue_s = min(max(queue_s, 0.0), _LONGEST_S)
        self.price = _PRICE * self._queue_s
        weight = _MEMORY if passed_s < 1.0 else 1.0
        self.utilisation += weight * (work_s / passed_s - self.utilisation)
