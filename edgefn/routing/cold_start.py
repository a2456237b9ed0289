"""Whether a call should wait until a replica has been started for it.

The start is one more leg of its time, and a very uncertain one: it is known from the last one only.
"""

from math import inf
from typing import Final

from edgefn.routing.calibration import chance_of
from edgefn.routing.plan import ColdStart, Plan
from edgefn.routing.weighing import HOPELESS

HOPELESS_START: Final = 2.0  # times the budget, and the call does not wait for it
START_NOISE: Final = 0.5  # standard deviation of a start, relative to it


def best_start(plan: Plan, budget_s: float, patience_s: float) -> tuple[ColdStart | None, float]:
    """Returns the variant that is best started for a call, and its score; None: none in time."""
    best, best_score = None, -inf
    for start in plan.cold:
        score = start_score(start, budget_s, patience_s)
        if score is not None and score > best_score:
            best, best_score = start, score
    return best, best_score


def start_chance(start: ColdStart, budget_s: float) -> float:
    """Returns the probability that a call of this budget is answered after a start."""
    load_s, run_s = start.load_s, start.run_s
    if budget_s == inf:
        return 1.0
    if load_s > HOPELESS_START * budget_s:
        return 0.0
    sd_s = START_NOISE * load_s + start.service.cv * run_s
    return chance_of(budget_s - load_s - run_s, sd_s or budget_s)


def start_score(start: ColdStart, budget_s: float, patience_s: float) -> float | None:
    """Returns what starting a replica for a call is worth; None: it would be hopeless."""
    chance = start_chance(start, budget_s)
    if chance < HOPELESS:
        return None
    score = chance * start.worth - start.toll
    if budget_s == inf:
        score -= start.second_choice + (start.load_s + start.run_s) / patience_s
    return score
