"""Sends each call to where it is predicted to be answered in time at the best worth, or refuses it.

Pure: `now_s` is handed in, and nothing is read or written but its own state. The one who calls it
does what it decides, and tells it what came of it.

The rule: of all endpoints that may answer, the one of the greatest `P(in time) * worth - costs`
(`weighing.py`). A call is refused before it runs only if none has a chance worth the work, and the
replica checks again, with better knowledge, before it runs it. What was learned may be wrong, and
nothing would correct it if it led to no call being sent; so one that has no chance is sent all the
same if nothing was sent there for a while.
"""

from math import inf
from typing import Final

from edgefn.errors import EdgefnError
from edgefn.routing import refusals
from edgefn.routing.admission import Admission, valid_priority
from edgefn.routing.decisions import Decision, Demand, Refuse, Rng, Send, Wait
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Event,
    Failed,
    LoadReported,
    ProbeAnswered,
    ProbeSent,
    TableChanged,
)
from edgefn.routing.explain import explain
from edgefn.routing.explanation import Explanation
from edgefn.routing.function import Function
from edgefn.routing.judging import last_resort, refusal, weigh
from edgefn.routing.learning import abandoned, answered, failed
from edgefn.routing.plan import ColdStart, Plan
from edgefn.routing.registry import Registry
from edgefn.routing.second import SecondSends

MAX_OUTSTANDING: Final = 256
MAX_FORWARDS: Final = 1
TICK_S: Final = 0.1
MAX_TICKS: Final = 50  # that are made up for after a quiet time: then all is forgotten anyway


class Router:
    """Decides where calls go.

    Args:
        max_outstanding: Most calls that one replica may hold.
        max_forwards: How often a call may be forwarded: one that was as often stays here.
    """

    def __init__(
        self, *, max_outstanding: int = MAX_OUTSTANDING, max_forwards: int = MAX_FORWARDS
    ) -> None:
        self._registry = Registry(max_outstanding, max_forwards)
        self._functions = self._registry.functions
        self._admission = Admission()
        self._second = SecondSends()
        self._ejected: set[Endpoint] = set()
        self._ticked_s = 0.0
        self._tick_at_s = -inf

    def decide(self, now_s: float, call: Demand, rng: Rng) -> Decision:
        """Returns what to do with a call. A `Send` is counted as work of its endpoint at once."""
        if self._registry.stale:
            self._registry.gather()
        if now_s >= self._tick_at_s:
            self._tick(now_s)
        function = self._functions.get(call.function)
        if function is None:
            return refusals.not_deployed(call.function)
        deadline_s = call.deadline_s
        if deadline_s is None:
            deadline_s = inf
        elif deadline_s <= now_s:
            return refusals.too_late(deadline_s - now_s)
        choice, hops = call.choice, call.hops
        plan = function.plan
        if choice is not None or hops:
            plan = function.plan_for(choice, hops)
        if plan.error is not None:
            return Refuse(error=plan.error)
        admission = self._admission
        priority = valid_priority(call.priority)
        admission.arrived(priority)
        if admission.refuses and not admission.admits(priority, rng):
            return self._shed(now_s, call, plan, priority)
        sds = admission.least_sds(priority)
        best, nearest = weigh(now_s, deadline_s, call.size_bytes, function, plan, sds)
        if isinstance(best, ColdStart):
            return Wait(variant=best.variant.name, work_s=best.work_s)
        if best is None:
            best = last_resort(now_s, deadline_s, call.size_bytes, plan, nearest)
            if best is None:
                refuse, crowded = refusal(now_s, call, deadline_s, plan, nearest)
                if crowded:
                    admission.refused(priority)
                return refuse
        return self._send(now_s, call, function, plan, best, deadline_s, priority)

    def refusal(self, now_s: float, call: Demand) -> Refuse | None:
        """Returns how a call would be refused if it were decided on now; None: it would not be.

        Nothing is counted: it is asked for calls whose body is still to come, which are decided on
        when they are complete. Nor is it told who is refused by lot.
        """
        function = self._function_of(call)
        if function is None:
            return refusals.not_deployed(call.function)
        deadline_s = inf if call.deadline_s is None else call.deadline_s
        if deadline_s <= now_s:
            return refusals.too_late(deadline_s - now_s)
        plan = function.plan_for(call.choice, call.hops)
        if plan.error is not None:
            return Refuse(error=plan.error)
        sds = self._admission.least_sds(valid_priority(call.priority))
        best, nearest = weigh(now_s, deadline_s, call.size_bytes, function, plan, sds)
        if best is None:
            best = last_resort(now_s, deadline_s, call.size_bytes, plan, nearest)
        return None if best is not None else refusal(now_s, call, deadline_s, plan, nearest)[0]

    def network_s(self, place: str) -> float | None:
        """Returns what a small call spends in the network to a place and back, if it is known."""
        path = self._registry.paths.get(place)
        return path.fixed_s if path is not None else None

    def hedge(self, now_s: float, call: Demand, first: Send, rng: Rng) -> Send | None:
        """Returns where a call that is not answered yet should go as well, if anywhere."""
        return self._second.hedge(now_s, call, first, self._function_of(call))

    def retry(self, now_s: float, call: Demand, lost: Send, rng: Rng) -> Send | None:
        """Returns where a call that was lost should go instead, if anywhere."""
        return self._second.retry(now_s, call, lost, self._function_of(call))

    def escalate(self, now_s: float, call: Demand, doubtful: Send, rng: Rng) -> Send | None:
        """Returns the better variant that a call with a doubtful answer should go to, if any."""
        return self._second.escalate(now_s, call, doubtful, self._function_of(call))

    def explain(self, now_s: float, call: Demand) -> Explanation:
        """Returns what would be decided about a call, and why; nothing is counted.

        Raises:
            NotDeployed: There is no such function.
        """
        function = self._function_of(call)
        if function is None:
            raise refusals.not_deployed(call.function).error
        return explain(now_s, call, function, self._admission)

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened. Events of endpoints that are gone are ignored."""
        kind = type(event)
        if kind is Answered:
            answered(now_s, event, self._registry.endpoints, self._admission)  # type: ignore[arg-type]
        elif isinstance(event, Abandoned):
            abandoned(now_s, event, self._admission)
        elif isinstance(event, Failed):
            endpoint = failed(now_s, event)
            if endpoint is not None:
                self._eject(now_s, endpoint)
        elif isinstance(event, ProbeSent):
            if (path := self._registry.paths.get(event.place)) is not None:
                path.probe_sent(now_s)
        elif isinstance(event, ProbeAnswered):
            if (path := self._registry.paths.get(event.place)) is not None:
                path.heard(now_s)
                path.learn(now_s, event.took_s, event.size_bytes)
        elif isinstance(event, LoadReported):
            self._registry.reported(now_s, event)
        elif isinstance(event, Connected):
            self._registry.connect(now_s, event.endpoint)
        elif isinstance(event, Disconnected):
            self._registry.disconnect(event.endpoint)
        elif isinstance(event, TableChanged):
            self._registry.replace(now_s, event)
            self._functions = self._registry.functions

    def _function_of(self, call: Demand) -> Function | None:
        if self._registry.stale:
            self._registry.gather()
        return self._functions.get(call.function)

    def _send(
        self,
        now_s: float,
        call: Demand,
        function: Function,
        plan: Plan,
        best: Endpoint,
        deadline_s: float,
        priority: int,
    ) -> Send:
        send = best.prepare(now_s, deadline_s, call.size_bytes)
        best.commit(now_s, send)
        self._second.calls += 1
        self._admission.sent(send, priority)
        if plan.below:
            send.degraded = best in plan.below
        if not best.here:
            send.wake = plan.wake
            if plan.near and deadline_s < inf:
                self._second.set_timer(now_s, call, function, plan, send)
        return send

    def _shed(self, now_s: float, call: Demand, plan: Plan, priority: int) -> Refuse:
        self._admission.shed()
        error: EdgefnError = refusals.shed(call.function, priority)
        if not plan.warm:
            return Refuse(error=error)
        send = plan.warm[0].prepare(now_s, inf, call.size_bytes)
        return Refuse(error=error, variant=send.variant, work_s=send.work_s)

    def _eject(self, now_s: float, endpoint: Endpoint) -> None:
        """Leaves an endpoint alone that failed too often, but never most of a function's."""
        if self._registry.stale:
            self._registry.gather()
        alike = self._functions[endpoint.function].endpoints
        shunned = sum(1 for one in alike if one.health.until_s) + (not endpoint.health.until_s)
        if 2 * shunned <= len(alike):
            endpoint.health.eject(now_s)
            endpoint.settle()
            self._ejected.add(endpoint)

    def _tick(self, now_s: float) -> None:
        """Does what is due now and then."""
        passed_s = now_s - self._ticked_s if self._tick_at_s > -inf else TICK_S
        for pool in self._registry.pools.values():
            pool.tick(passed_s)
        for server in self._registry.servers.values():
            server.fade(now_s, self._ticked_s)
        for _ in range(min(max(1, round(passed_s / TICK_S)), MAX_TICKS)):
            self._admission.tick()
        for endpoint in tuple(self._ejected):
            if endpoint.gone or endpoint.health.until_s <= now_s:
                endpoint.health.until_s = 0.0
                endpoint.settle()
                self._ejected.discard(endpoint)
        self._ticked_s = now_s
        self._tick_at_s = now_s + TICK_S
