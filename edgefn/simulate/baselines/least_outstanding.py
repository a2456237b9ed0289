"""Least outstanding: the replica of the cheapest variant of the site with the fewest calls."""

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline, cheapest_variant
from edgefn.simulate.baselines.known import Option


class LeastOutstanding(Baseline):
    """What many proxies call least connections; by the router's own count. One variant."""

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the one with the fewest calls, the first of equals."""
        return min(cheapest_variant(options), key=lambda one: one.server.calls)
