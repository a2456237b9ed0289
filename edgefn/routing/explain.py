"""Says why a call goes where it goes."""

from dataclasses import dataclass
from math import inf

from edgefn.routing.cold_start import best_start, start_chance, start_score
from edgefn.routing.decisions import Demand, Send
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.explanation import Candidate, Explanation
from edgefn.routing.function import Function
from edgefn.routing.plan import ColdStart, Plan
from edgefn.routing.table import HERE, DeployedVariant
from edgefn.routing.weighing import (
    FRESH_HANDICAP,
    HOPELESS,
    WAIT_TOLL,
    best_in_time,
    best_without_deadline,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A call as it is weighed."""

    now_s: float
    deadline_s: float
    size_bytes: int
    function: Function

    @property
    def budget_s(self) -> float:
        return self.deadline_s - self.now_s


def explain(now_s: float, call: Demand, function: Function) -> Explanation:
    """Returns what would be decided about a call now; whether it is admitted at all is left out."""
    question = _Question(
        now_s=now_s,
        deadline_s=inf if call.deadline_s is None else call.deadline_s,
        size_bytes=call.size_bytes,
        function=function,
    )
    plan = function.plan_for(call.choice, local=call.hops > 0)
    for path in plan.paths:
        path.look(now_s)
    winner = _winner(question, plan)
    candidates = [_endpoint(question, one, winner) for one in plan.warm]
    candidates += [_start(question, one, winner) for one in plan.cold]
    candidates.sort(key=lambda one: (bool(one.lost_because), -one.score))
    candidates += [_endpoint(question, one, None, "below the floor") for one in plan.below]
    named = {one.variant for one in candidates}
    candidates += [
        _absent(question, one) for one in function.deployment.variants if one.name not in named
    ]
    return Explanation(
        function=call.function,
        objective=function.deployment.objective,
        budget_ms=None if call.deadline_s is None else _ms(question.budget_s),
        decision=_decision(question, plan, winner),
        candidates=tuple(candidates),
    )


def _winner(question: _Question, plan: Plan) -> Endpoint | ColdStart | None:
    budget_s, patience_s = question.budget_s, question.function.patience_s
    best: Endpoint | None
    if budget_s == inf:
        best, score = best_without_deadline(
            plan.warm, question.now_s, question.size_bytes, patience_s
        )
    else:
        best, score, _ = best_in_time(plan.warm, question.now_s, budget_s, question.size_bytes)
    start, start_worth = best_start(plan, budget_s, patience_s)
    return start if start is not None and start_worth > score else best


def _decision(question: _Question, plan: Plan, winner: Endpoint | ColdStart | None) -> str:
    if plan.error is not None:
        return f"refused: {plan.error.message}"
    if question.budget_s <= 0.0:
        return "refused: the deadline has passed"
    if isinstance(winner, Endpoint):
        where = f"at {winner.path.place.name}" if not winner.here else "here"
        return f"sent to {winner.variant} {where}"
    if winner is not None:
        return f"waits for a replica of {winner.variant.name} to start here"
    if plan.below:
        return "sent to a variant below the floor, or refused: none above it has a chance in time"
    return f"refused: none has a chance of {HOPELESS:.0%} to answer in time"


def _endpoint(
    question: _Question, one: Endpoint, winner: Endpoint | ColdStart | None, why: str = ""
) -> Candidate:
    send = one.prepare(question.now_s, question.deadline_s, question.size_bytes)
    score = _score(question, one, send)
    return Candidate(
        endpoint=one.name,
        variant=one.variant,
        place=send.place,
        tier=one.path.place.tier,
        network_ms=_ms(send.network_s),
        cold_ms=_ms(send.cold_s),
        wait_ms=_ms(send.wait_s),
        service_ms=_ms(send.service_s),
        predicted_ms=_ms(send.predicted_s),
        bound_ms=_ms(send.bound_s),
        chance=round(send.chance, 4),
        accuracy=one.accuracy,
        cost=round(one.toll, 4),
        score=round(score, 4),
        lost_because="" if one is winner else why or _why(one, send),
    )


def _score(question: _Question, one: Endpoint, send: Send) -> float:
    score = send.chance * one.worth - one.toll
    if question.budget_s == inf:
        score -= one.second_choice + min(send.predicted_s, 1e6) / question.function.patience_s
    else:
        score -= one.pool.price * send.work_s + WAIT_TOLL * send.wait_s
    if one.server.outstanding >= one.server.trusted:
        score -= FRESH_HANDICAP
    return score


def _why(one: Endpoint, send: Send) -> str:
    if one.path.down:
        return "its place does not answer"
    if one.health.until_s:
        return "it lost its last calls, and is left alone for a while"
    if one.shut:
        return f"it holds {one.outstanding} calls, as many as it may"
    if send.chance < HOPELESS:
        return "no chance to answer in time"
    return "a lower score"


def _start(question: _Question, start: ColdStart, winner: Endpoint | ColdStart | None) -> Candidate:
    chance = start_chance(start, question.budget_s)
    score = start_score(start, question.budget_s, question.function.patience_s)
    why = "no chance to start in time" if score is None else "a lower score"
    return Candidate(
        endpoint="",
        variant=start.variant.name,
        place=HERE,
        tier=question.function.home.tier,
        cold_ms=_ms(start.load_s),
        service_ms=_ms(start.run_s),
        predicted_ms=_ms(start.load_s + start.run_s),
        bound_ms=_ms(start.load_s + start.run_s),
        chance=round(chance, 4),
        accuracy=start.variant.accuracy,
        cost=round(start.toll, 4),
        score=round(score or 0.0, 4),
        lost_because="" if start is winner else why,
    )


def _absent(question: _Question, variant: DeployedVariant) -> Candidate:
    floor = question.function.deployment.min_accuracy
    why = variant.quarantined or variant.unavailable
    if not why and floor and variant.accuracy is not None and variant.accuracy < floor:
        why = "its accuracy is below the floor"
    return Candidate(
        endpoint="",
        variant=variant.name,
        place=HERE,
        tier="",
        accuracy=variant.accuracy,
        lost_because=why or "not what the call asks for",
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
