"""Round robin: each replica of the cheapest variant of the site in turn, whatever its load."""

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline, cheapest_variant
from edgefn.simulate.baselines.known import Option


class RoundRobin(Baseline):
    """Knows no load, no deadline and one variant."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: dict[str, int] = {}

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the next one."""
        replicas = cheapest_variant(options)
        turn = self._turns.get(call.function, 0)
        self._turns[call.function] = turn + 1
        return replicas[turn % len(replicas)]
