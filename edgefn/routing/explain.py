"""Says why a call goes where it goes."""

from dataclasses import dataclass
from math import inf

from edgefn.routing import refusals
from edgefn.routing.admission import Admission, valid_priority
from edgefn.routing.calibration import chance_of
from edgefn.routing.cold_start import start_chance, start_score
from edgefn.routing.decisions import Demand, Send
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.explanation import Candidate, Explanation
from edgefn.routing.function import Function
from edgefn.routing.judging import last_resort, refusal, weigh
from edgefn.routing.plan import ColdStart, Plan
from edgefn.routing.table import HERE, DeployedVariant
from edgefn.routing.weighing import FRESH_HANDICAP, HOPELESS, WAIT_TOLL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A call as it is weighed."""

    now_s: float
    deadline_s: float
    call: Demand
    function: Function
    refused_share: float
    least_sds: float

    @property
    def budget_s(self) -> float:
        return self.deadline_s - self.now_s


def explain(now_s: float, call: Demand, function: Function, admission: Admission) -> Explanation:
    """Returns what would be decided about a call now."""
    priority = valid_priority(call.priority)
    question = _Question(
        now_s=now_s,
        deadline_s=inf if call.deadline_s is None else call.deadline_s,
        call=call,
        function=function,
        refused_share=admission.refused_share(priority),
        least_sds=admission.least_sds(priority),
    )
    plan = function.plan_for(call.choice, call.hops)
    for path in plan.paths:
        path.look(now_s)
    winner, decision = _decided(question, plan)
    candidates = [_endpoint(question, one, winner) for one in plan.warm]
    candidates += [_start(question, one, winner) for one in plan.cold]
    candidates += [_endpoint(question, one, winner, "below the floor") for one in plan.below]
    candidates.sort(key=lambda one: (bool(one.lost_because), -one.score))
    named = {one.variant for one in candidates}
    candidates += [
        _absent(question, one) for one in function.deployment.variants if one.name not in named
    ]
    return Explanation(
        function=call.function,
        objective=function.deployment.objective,
        budget_ms=None if call.deadline_s is None else _ms(question.budget_s),
        decision=decision,
        candidates=tuple(candidates),
    )


def _decided(question: _Question, plan: Plan) -> tuple[Endpoint | ColdStart | None, str]:
    """Returns what is chosen, by the router's own steps, and a sentence of what happens."""
    now_s, deadline_s, call = question.now_s, question.deadline_s, question.call
    if question.budget_s <= 0.0:
        return None, f"refused: {refusals.too_late(question.budget_s).error.message}"
    if plan.error is not None:
        return None, f"refused: {plan.error.message}"
    if question.refused_share == 1.0:
        return None, f"refused: {refusals.shed(call.function, call.priority).message}"
    best, nearest = weigh(
        now_s, deadline_s, call.size_bytes, question.function, plan, question.least_sds
    )
    if isinstance(best, ColdStart):
        said = f"waits for a replica of {best.variant.name} to start here"
    elif best is not None:
        said = f"sent to {best.variant} {_where(best)}"
    else:
        best = last_resort(now_s, deadline_s, call.size_bytes, plan, nearest)
        if best is None:
            refuse, _ = refusal(now_s, call, deadline_s, plan, nearest)
            return None, f"refused: {refuse.error.message}"
        why = "below the floor" if best in plan.below else "to learn whether it has no chance there"
        said = f"sent to {best.variant} {_where(best)}, {why}"
    if question.refused_share:
        said += f"; {question.refused_share:.0%} of the calls of its priority are refused instead"
    return best, said


def _where(endpoint: Endpoint) -> str:
    return "here" if endpoint.here else f"at {endpoint.path.place.name}"


def _endpoint(
    question: _Question, one: Endpoint, winner: Endpoint | ColdStart | None, why: str = ""
) -> Candidate:
    send = one.prepare(question.now_s, question.deadline_s, question.call.size_bytes)
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
        lost_because="" if one is winner else why or _why(question, one, send),
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


def _why(question: _Question, one: Endpoint, send: Send) -> str:
    if one.path.down:
        return "its place does not answer"
    if one.health.until_s:
        return "it lost its last calls, and is left alone for a while"
    if one.shut:
        return f"it holds {one.outstanding} calls, as many as it may"
    if send.chance < HOPELESS:
        return "no chance to answer in time"
    least = chance_of(question.least_sds, 1.0)
    if send.wait_s > 0.0 and send.chance < least:
        return (
            f"it would have to wait, and with so many calls lost must have a chance of {least:.0%}"
        )
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
