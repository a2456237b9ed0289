"""The power of two choices, with one variant and with all.

After Mitzenmacher, "The power of two choices in randomized load balancing" (2001): of two replicas
drawn at random, the one with the shorter queue. By the router's own count of calls.
"""

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline, cheapest_variant
from edgefn.simulate.baselines.known import Option


class TwoChoices(Baseline):
    """Draws among the replicas of the cheapest variant of the site."""

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the less busy of two."""
        return less_busy(cheapest_variant(options), rng)


class TwoChoicesMixed(Baseline):
    """Draws among all variants at all places, whatever they cost and however far they are."""

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the less busy of two."""
        return less_busy(options, rng)


def less_busy(options: list[Option], rng: Rng) -> Option:
    """Returns that of two different ones drawn at random with fewer outstanding calls."""
    first, second = two_of(options, rng)
    return first if first.server.calls <= second.server.calls else second


def two_of(options: list[Option], rng: Rng) -> tuple[Option, Option]:
    """Returns two different ones, drawn at random; the only one twice."""
    count = len(options)
    first = int(rng() * count)
    second = first if count == 1 else (first + 1 + int(rng() * (count - 1))) % count
    return options[first], options[second]
