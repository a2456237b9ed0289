"""INFaaS-like: per call, a variant that meets deadline and accuracy, the cheapest or the best.

After Romero et al., "INFaaS: Automated Model-less Inference Serving" (USENIX ATC 2021): variants
are known by profile (latency, accuracy, cost); one that would miss the deadline or is overloaded is
passed over. Its latencies are means without spread, so that an endpoint is as good as any other up
to the very deadline.

Different here, in its favour: load is a predicted wait for each server, by its own unanswered calls
and the report in each answer, where the paper has a flag for each machine that monitors set now and
then; the network's mean is in the latency; and slow machines are learned. Scaling and switching of
variants are not in the comparison: all are loaded everywhere.
"""

from abc import abstractmethod
from math import inf

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline
from edgefn.simulate.baselines.known import Option


class _Infaas(Baseline):
    """Passes over what would be late; of the rest, the least by `_rank`."""

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the first in rank of those in time; if there is none, the soonest."""
        budget_s = inf if call.deadline_s is None else call.deadline_s - now_s
        best, least = None, (inf, inf)
        soonest, soonest_s = options[0], inf
        for option in options:
            latency_s = option.latency_s(now_s)
            if latency_s < soonest_s:
                soonest, soonest_s = option, latency_s
            if latency_s <= budget_s and (rank := (self._rank(option), latency_s)) < least:
                best, least = option, rank
        return best or soonest

    @abstractmethod
    def _rank(self, option: Option) -> float:
        """Returns what is to be the least."""


class InfaasCheapest(_Infaas):
    """The least cost, then the least latency."""

    def _rank(self, option: Option) -> float:
        return option.cost


class InfaasAccurate(_Infaas):
    """The most accuracy, then the least latency."""

    def _rank(self, option: Option) -> float:
        return -option.accuracy
