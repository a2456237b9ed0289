"""What came of the calls of one second, while it is counted."""

from edgefn.simulate.result import Second


class Counts:
    """The numbers of a `Second`: as plain attributes, which count in a fraction of the time.

    Attributes:
        accuracy: The sum over `on_time`.
    """

    __slots__ = ("accuracy", "calls", "cost", "misses", "on_time", "replicas")

    def __init__(self) -> None:
        self.calls = 0
        self.on_time = 0
        self.accuracy = 0.0
        self.cost = 0.0
        self.replicas = 0.0
        self.misses: dict[str, int] = {}

    def second(self) -> Second:
        """Returns them as results have them."""
        return Second(
            calls=self.calls,
            on_time=self.on_time,
            accuracy=self.accuracy / self.on_time if self.on_time else 0.0,
            cost=self.cost,
            replicas=self.replicas,
            misses=self.misses,
        )
