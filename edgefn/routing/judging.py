"""The steps of a decision that change nothing: taken by the router, and told by `explain`."""

from math import inf
from typing import Final

from edgefn.routing import refusals
from edgefn.routing.cold_start import best_start
from edgefn.routing.decisions import Demand, Refuse
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.function import Function
from edgefn.routing.plan import ColdStart, Plan
from edgefn.routing.weighing import best_in_time, best_without_deadline

TRIAL_MIN_S: Final = 0.05  # a quiet endpoint is tried against the prediction after
TRIAL_MAX_S: Final = 1.0  # as long as a call is said to take, within these bounds


def weigh(
    now_s: float, deadline_s: float, size_bytes: int, function: Function, plan: Plan, sds: float
) -> tuple[Endpoint | ColdStart | None, Endpoint | None]:
    """Returns what is worth most, and if nothing has a chance the one that is nearest to it.

    Args:
        now_s: Now.
        deadline_s: Of the call; infinite for none.
        size_bytes: Of the call.
        function: That is called.
        plan: What may answer.
        sds: Standard deviations by which the call must fit where it has to wait.
    """
    nearest: Endpoint | None = None
    best: Endpoint | None
    budget_s = deadline_s - now_s
    if budget_s == inf:
        best, score = best_without_deadline(plan.warm, now_s, size_bytes, function.patience_s)
    else:
        best, score, nearest = best_in_time(plan.warm, now_s, budget_s, size_bytes, sds)
    if score < plan.cold_top:
        start, start_worth = best_start(plan, budget_s, function.patience_s)
        if start is not None and start_worth > score:
            return start, nearest
    return best, nearest


def last_resort(
    now_s: float, deadline_s: float, size_bytes: int, plan: Plan, nearest: Endpoint | None
) -> Endpoint | None:
    """Returns where a call without a chance goes all the same: below the floor of accuracy, if that
    is allowed, or to the nearest one to learn whether it is right that it has none."""
    if plan.below:
        lower, _, _ = best_in_time(plan.below, now_s, deadline_s - now_s, size_bytes)
        if lower is not None:
            return lower
    if nearest is not None and _may_try(now_s, nearest):
        return nearest
    return None


def refusal(
    now_s: float, call: Demand, deadline_s: float, plan: Plan, nearest: Endpoint | None
) -> tuple[Refuse, bool]:
    """Returns what is told to a call without a chance, and whether a shorter queue had saved it."""
    budget_s = deadline_s - now_s
    if nearest is not None:
        send = nearest.prepare(now_s, deadline_s, call.size_bytes)
        crowded = send.wait_s > 0.0 and send.predicted_s - send.wait_s < budget_s
        return refusals.unattainable(call.function, send, budget_s), crowded
    for path in plan.paths:
        path.look(now_s)
    if plan.warm:
        full = any(one.outstanding >= one.limit for one in plan.warm)
        return refusals.no_room(call.function, plan.warm, now_s), full
    if plan.cold:
        start = min(plan.cold, key=_load_s)
        return refusals.hopeless_start(call.function, start, budget_s), False
    return refusals.no_room(call.function, plan.below, now_s), True


def _may_try(now_s: float, endpoint: Endpoint) -> bool:
    """Whether a call may go there against the prediction, to learn whether that is right."""
    if endpoint.server.outstanding or endpoint.path.base_s > endpoint.path.fixed_s:
        return False
    run_s = endpoint.prepare(now_s, inf, 0).predicted_s
    quiet_s = now_s - endpoint.used_s
    return quiet_s >= min(max(run_s, TRIAL_MIN_S), TRIAL_MAX_S)


def _load_s(start: ColdStart) -> float:
    return start.load_s
