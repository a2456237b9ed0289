"""Ray Serve's default router: power of two choices on queue lengths, the own node's first.

After `ray.serve`'s `pow_2_router` and its documentation. A deployment has one model; replicas near
the proxy are preferred until the two that were drawn hold `max_ongoing_requests`; then others are
drawn from all. There is no deadline and no drop: its own queue is first in, first out.

Different here: a call for which everything is full waits at a replica, not in the proxy (Ray
retries with a growing pause until there is room), and lengths are those that this proxy knows of,
without the delay of asking the replica. Both are in its favour.
"""

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline, cheapest_variant
from edgefn.simulate.baselines.known import Option
from edgefn.simulate.baselines.two_choices import less_busy

MAX_ONGOING_REQUESTS = 5  # its default


class RayServe(Baseline):
    """One deployment: the cheapest variant, at this site and at the others of its tier."""

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns one of the site's replicas if it has room, else one of all."""
        near = cheapest_variant(options)
        chosen = less_busy(near, rng)
        if chosen.server.calls < MAX_ONGOING_REQUESTS:
            return chosen
        name, tier = chosen.variant.name, chosen.server.path.place.tier
        everywhere = [
            one
            for one in options
            if one.variant.name == name and one.server.path.place.tier == tier
        ]
        return less_busy(everywhere, rng)
