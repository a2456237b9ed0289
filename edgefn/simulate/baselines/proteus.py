"""Proteus-like: shares of each function's calls by variant, planned anew every second.

After Ahmad et al., "Proteus: A High-Throughput Inference-Serving System with Accuracy Scaling"
(ASPLOS 2024): a controller off the data path maximises accuracy while all demand is met, and calls
are then spread by the shares that it found, whatever the queues are at that moment.

Different here: the paper solves an integer program every half minute; this one fills by gain per
scarce capacity (`fractions.plan`), every second, which reacts sooner. Servers take turns among all
variants, so there is no placement to plan. Within a variant and place a call goes to the least
loaded server rather than to one by share. Every site plans for its own boxes and its part of the
remote ones.
"""

from typing import Final

from edgefn.routing.decisions import Demand, Rng
from edgefn.routing.events import Event, TableChanged
from edgefn.simulate.baselines.baseline import Baseline
from edgefn.simulate.baselines.fractions import Choice, Shares, plan
from edgefn.simulate.baselines.known import Option, Server

PERIOD_S: Final = 1.0
TARGET: Final = 0.8  # of the capacity is planned with
_RATE_WEIGHT: Final = 0.5  # of the last period in the rate that is planned for


class Proteus(Baseline):
    """Plans with measured rates, run times by profile, and mean network times."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, int] = {}
        self._budget_s: dict[str, float] = {}
        self._rates: dict[str, float] = {}
        self._shares: dict[str, Shares] = {}
        self._planned_s = 0.0

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the least loaded server of the variant and place that is drawn."""
        function = call.function
        self._calls[function] = self._calls.get(function, 0) + 1
        if call.deadline_s is not None:
            self._budget_s[function] = call.deadline_s - now_s
        if now_s - self._planned_s >= PERIOD_S:
            self._plan(now_s)
        wanted = _drawn(self._shares.get(function), rng)
        fit = [one for one in options if _group(one) == wanted] or options
        return min(fit, key=lambda one: one.latency_s(now_s))

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened; another table needs another plan."""
        super().observe(now_s, event)
        if isinstance(event, TableChanged):
            self._shares.clear()

    def _plan(self, now_s: float) -> None:
        took_s, self._planned_s = now_s - self._planned_s, now_s
        for function in {*self._calls, *self._rates}:
            seen = self._calls.get(function, 0) / took_s
            before = self._rates.get(function, seen)
            self._rates[function] = before + (seen - before) * _RATE_WEIGHT
        self._calls.clear()
        choices = {function: self._choices(function) for function in self._rates}
        self._shares = plan(self._rates, choices, self._capacities())

    def _choices(self, function: str) -> list[Choice]:
        groups: dict[tuple[str, str], Option] = {}
        for option in self.table.options(function):
            groups.setdefault(_group(option), option)
        choices = [_choice(group, option) for group, option in groups.items()]
        budget_s = self._budget_s.get(function)
        if budget_s is None:
            return choices
        for runs in (2.0, 1.0):  # a call that just missed a batch waits for a whole one
            fit = [
                choice
                for choice, option in zip(choices, groups.values(), strict=True)
                if _least_s(option, runs) <= budget_s
            ]
            if fit:
                return fit
        return choices

    def _capacities(self) -> dict[str, float]:
        """Returns what can be worked in a second, by place; of remote ones, one site's part."""
        tier = next(one.place.tier for one in self.table.paths.values() if one.local)
        sites = sum(one.place.tier == tier for one in self.table.paths.values())
        capacities: dict[str, float] = {}
        for server in self.table.servers.values():
            place = server.path.place.name
            capacities[place] = capacities.get(place, 0.0) + _capacity(server, tier, sites)
        return capacities


def _capacity(server: Server, tier: str, sites: int) -> float:
    speed = TARGET * server.replicas / server.slowness
    if server.path.local:
        return speed
    return 0.0 if server.path.place.tier == tier else speed / sites


def _group(option: Option) -> tuple[str, str]:
    return option.variant.name, option.server.path.place.name


def _choice(group: tuple[str, str], option: Option) -> Choice:
    return Choice(group=group, pool=group[1], work_s=option.share_s, accuracy=option.accuracy)


def _least_s(option: Option, runs: float) -> float:
    return option.server.path.network_s + option.variant.prefix_s + runs * option.run_s


def _drawn(shares: Shares | None, rng: Rng) -> tuple[str, str] | None:
    if not shares:
        return None
    point = rng() * sum(shares.values())
    for group, share in shares.items():
        point -= share
        if point < 0.0:
            return group
    return next(iter(shares))
