"""Hedged requests: a second replica is asked once a call takes longer than 95 % of them do.

After Dean and Barroso, "The Tail at Scale" (CACM 2013): the hedge is timed by what calls usually
take, not by what is left of the deadline, and so costs about 5 % more work whatever the load is.
The loser is told to stop. The first replica is the least busy one of the cheapest variant; the
quantile is followed by stochastic approximation (Robbins and Monro, 1951).
"""

from typing import Final

from edgefn.routing.decisions import Demand, Rng, Send
from edgefn.routing.events import Abandoned, Answered, Event
from edgefn.simulate.baselines.baseline import Baseline, cheapest_variant
from edgefn.simulate.baselines.known import Option
from edgefn.simulate.baselines.table import send

QUANTILE: Final = 0.95
_STEP: Final = 0.05  # of the estimate, at each answer
_FIRST_RUNS: Final = 3.0  # until answers tell: so many times a lone run


class HedgeP95(Baseline):
    """One variant; knows no deadline."""

    def __init__(self) -> None:
        super().__init__()
        self._usual_s: dict[str, float] = {}  # by function

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the one with the fewest calls."""
        return min(cheapest_variant(options), key=lambda one: one.server.calls)

    def sent(self, now_s: float, call: Demand, option: Option) -> Send:
        """Returns the order, with the instant of the hedge."""
        usual_s = self._usual_s.setdefault(call.function, _FIRST_RUNS * option.run_s)
        one = super().sent(now_s, call, option)
        one.hedge_at_s = now_s + usual_s
        return one

    def hedge(self, now_s: float, call: Demand, first: Send, rng: Rng) -> Send | None:
        """Returns the order to the least busy one of the other replicas."""
        replicas = cheapest_variant(self.table.options(call.function))
        others = [one for one in replicas if one.name != first.endpoint]
        if not others:
            return None
        second = min(others, key=lambda one: one.server.calls)
        return send(now_s, call, second, purpose="hedge")

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened, and of how long it took.

        A call that another answer made superfluous took at least so long: without these, the
        quantile would sink with every hedge that wins.
        """
        if isinstance(event, Answered | Abandoned) and event.send.purpose == "first":
            option = event.send.ledger
            if isinstance(option, Option):
                self._learn(option.function, now_s - event.send.sent_s)
        super().observe(now_s, event)

    def _learn(self, function: str, took_s: float) -> None:
        usual_s = self._usual_s.get(function, took_s)
        step = QUANTILE if took_s > usual_s else QUANTILE - 1.0
        self._usual_s[function] = usual_s * (1.0 + _STEP * step)
