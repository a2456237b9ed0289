"""The perfect-information greedy: the production rule on the true state of things.

An achievable upper bracket, not an optimum: for each call it knows all backlogs with the work on
its way there, the speed of each box and the state of each network, and only not the luck of the
call and what comes after it. The choice is the router's own: the largest expected worth of the
answer less its cost, without prices and handicaps. It is greedy, and takes backlogs as if calls ran
in the order in which they came: under overload a router that leaves room for others can do better.
"""

from math import erfc, inf, sqrt
from typing import Final

from edgefn.routing.decisions import Demand, Rng
from edgefn.routing.events import Event, TableChanged
from edgefn.routing.weights import Worth, worths
from edgefn.simulate.baselines.baseline import Baseline
from edgefn.simulate.baselines.known import Option
from edgefn.simulate.engine.ports import Oracle

NETWORK_CV: Final = 0.2
_LEAST_VARIANCE: Final = 1e-7


class Perfect(Baseline):
    """Asks the oracle where a router has to estimate."""

    def __init__(self, site: str, oracle: Oracle) -> None:
        super().__init__()
        self._site = site
        self._oracle = oracle
        self._worths: dict[str, dict[str, Worth]] = {}

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened, and of what answers are worth."""
        super().observe(now_s, event)
        if isinstance(event, TableChanged):
            self._worths = {
                one.name: worths(one.objective, one.variants) for one in event.deployments
            }

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the option of the largest expected utility; the soonest of equals."""
        budget_s = inf if call.deadline_s is None else call.deadline_s - now_s
        worth_of = self._worths[call.function]
        waits_s: dict[str, float] = {}
        best, most = options[0], (-inf, -inf)
        for option in options:
            worth, cost = worth_of[option.variant.name]
            if worth - cost < most[0]:
                continue  # not even if it were in time for certain
            name = option.server.name
            if name not in waits_s:
                waits_s[name] = self._oracle.backlog_s(now_s, name)
            mean_s, sd_s = self._latency(now_s, call, option)
            mean_s += waits_s[name]
            chance = 1.0 if budget_s == inf else 0.5 * erfc((mean_s - budget_s) / (sd_s * sqrt(2)))
            utility = chance * worth - cost
            if (utility, -mean_s) > most:
                best, most = option, (utility, -mean_s)
        return best

    def _latency(self, now_s: float, call: Demand, option: Option) -> tuple[float, float]:
        """Returns mean and standard deviation of all legs but the queue."""
        oracle, variant, server = self._oracle, option.variant, option.server
        size_bytes = call.size_bytes * variant.bytes_factor
        network_s = oracle.network_s(now_s, self._site, server.path.place.name, size_bytes)
        speed = oracle.speed(now_s, server.name)
        if not speed or network_s == inf:
            return inf, 1.0
        run_s = option.run_s / speed
        variance = (NETWORK_CV * network_s) ** 2 + (variant.cv * run_s) ** 2 + _LEAST_VARIANCE
        return network_s + variant.prefix_s + run_s, sqrt(variance)
