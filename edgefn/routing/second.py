"""Calls that are sent once more: at the last moment, after a loss, or for a better answer.

A hedge is not sent when the first answer is slower than most (Dean and Barroso, "The Tail at
Scale", 2013), but at the last moment at which an answer from this box would still be in time: most
calls need none. Each of the three is bounded, because under overload more work is what hurts.
"""

from collections.abc import Iterable
from math import inf, sqrt
from typing import Final

from edgefn.routing.decisions import Demand, Purpose, Send
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.function import Function
from edgefn.routing.plan import Plan
from edgefn.routing.tokens import Tokens
from edgefn.routing.weighing import best_in_time, best_without_deadline

HEDGE_SHARE: Final = 0.1
RETRY_SHARE: Final = 0.1
HEDGE_SPARE_S: Final = 0.002  # before the last moment, at least; a busy box stalls for longer
HEDGE_SPARE: Final = 0.05  # of the budget
BUSY: Final = 0.8  # above this utilisation of this box, nothing is hedged
RETRY_CHANCE: Final = 0.5
ESCALATION_CHANCE: Final = 0.8


class SecondSends:
    """Of one router.

    Attributes:
        calls: That were sent for the first time.
    """

    __slots__ = ("_hedges", "_retries", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._hedges = Tokens(HEDGE_SHARE)
        self._retries = Tokens(RETRY_SHARE)

    def set_timer(
        self, now_s: float, call: Demand, function: Function, plan: Plan, send: Send
    ) -> None:
        """Says in a `Send` that leaves this box when to ask for a hedge."""
        if not (function.deployment.idempotent or call.idempotent):
            return
        first = plan.near[0]
        for one in plan.near:
            if one.server.free_s < first.server.free_s:
                first = one
        spare_s = max(HEDGE_SPARE_S, HEDGE_SPARE * (send.deadline_s - now_s))
        at_s = send.deadline_s - _bound_s(now_s, first) - spare_s
        if at_s > now_s:
            send.hedge_at_s = at_s

    def hedge(
        self, now_s: float, call: Demand, first: Send, function: Function | None
    ) -> Send | None:
        """Returns the copy that this box should run, if any."""
        if function is None:
            return None
        plan = function.plan_for(call.choice, call.hops)
        near = [one for one in plan.near if one.name != first.endpoint]
        if not near or near[0].pool.utilisation >= BUSY:
            return None
        if now_s < first.sent_s + first.bound_s <= first.deadline_s:
            return None  # the first answer is not overdue, and is expected in time
        best, chance = _best(now_s, call, near)
        if best is None or chance < RETRY_CHANCE or not self._hedges.take(self.calls):
            return None
        return _sent(now_s, call, best, "hedge")

    def retry(
        self, now_s: float, call: Demand, lost: Send, function: Function | None
    ) -> Send | None:
        """Returns where a lost call goes now, if anywhere."""
        if function is None:
            return None
        plan = function.plan_for(call.choice, call.hops)
        best, chance = _best(now_s, call, [o for o in plan.warm if o.name != lost.endpoint])
        if best is None or chance <= RETRY_CHANCE or not self._retries.take(self.calls):
            return None
        return _sent(now_s, call, best, "retry")

    def escalate(
        self, now_s: float, call: Demand, doubtful: Send, function: Function | None
    ) -> Send | None:
        """Returns where a better answer may be had in time, if anywhere."""
        if function is None:
            return None
        known = {one.name: one.accuracy for one in function.deployment.variants}
        least = known.get(doubtful.variant) or 0.0
        plan = function.plan_for(call.choice, call.hops)
        better = [o for o in plan.warm if o.accuracy is not None and o.accuracy > least]
        best, chance = _best(now_s, call, better)
        if best is None or chance < ESCALATION_CHANCE:
            return None
        return _sent(now_s, call, best, "escalation")


def _best(
    now_s: float, call: Demand, candidates: Iterable[Endpoint]
) -> tuple[Endpoint | None, float]:
    """Returns the best of the candidates, which are in order, and its chance."""
    ranked = list(candidates)
    if call.deadline_s is None:
        best, _ = best_without_deadline(ranked, now_s, call.size_bytes, 1.0)
        return best, 1.0
    budget_s = call.deadline_s - now_s
    best, _, _ = best_in_time(ranked, now_s, budget_s, call.size_bytes)
    if best is None or budget_s <= 0.0:
        return None, 0.0
    return best, best.prepare(now_s, call.deadline_s, call.size_bytes).chance


def _sent(now_s: float, call: Demand, endpoint: Endpoint, purpose: Purpose) -> Send:
    deadline_s = inf if call.deadline_s is None else call.deadline_s
    send = endpoint.prepare(now_s, deadline_s, call.size_bytes, purpose)
    endpoint.commit(now_s, send)
    return send


def _bound_s(now_s: float, one: Endpoint) -> float:
    """Returns what a call to an endpoint here exceeds as rarely as the calibration wants."""
    service, server, path = one.service, one.server, one.path
    run_s = (service.fixed_s + service.each_s * server.batch) * server.slowness
    wait_s = one.wait_s(now_s)
    noise_s = service.cv * run_s
    sd_s = sqrt(path.variance + 0.0625 * wait_s * wait_s + noise_s * noise_s)
    return path.base_s + one.ahead_s + wait_s + run_s + one.calibration.z * sd_s
