"""Sends each call to the replica that is predicted to answer it first, or refuses it early.

Pure: `now_s` is handed in, and nothing is read or written but its own table. The one who calls it
does what it decides, and tells it what came of it.

A call is refused before it runs only on good grounds, because the replica checks again, with better
knowledge, before it runs it: its budget is spent, or it is exceeded by the prediction by
`CLEAR_MARGIN`. While no replica is up a call waits for one, unless the last start took more than
`HOPELESS_START` times its budget: then it is refused at once, and a replica is started all the
same, so that a later call finds it.
"""

from math import inf
from typing import Final

from edgefn.errors import (
    DeadlineUnattainable,
    EdgefnError,
    NotDeployed,
    Quarantined,
    QueueFull,
    VariantUnavailable,
)
from edgefn.routing.choice import Choice, choose
from edgefn.routing.decisions import Decision, Demand, Refuse, Rng, Send, Wait
from edgefn.routing.endpoint import Endpoint, ServiceTime
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Event,
    Failed,
    TableChanged,
)
from edgefn.routing.explanation import Candidate, Explanation
from edgefn.routing.table import HERE, DeployedVariant, Deployment

CLEAR_MARGIN: Final = 1.25
HOPELESS_START: Final = 2.0
MAX_OUTSTANDING: Final = 256


class _Variant:
    """One variant of a deployed function, and its connected endpoints."""

    __slots__ = ("deployed", "endpoints", "function", "refused", "service", "wait")

    def __init__(
        self, function: str, deployed: DeployedVariant, service: ServiceTime | None = None
    ) -> None:
        self.function = function
        self.deployed = deployed
        self.endpoints: list[Endpoint] = []
        self.service = service or ServiceTime()
        self.refused = bool(deployed.quarantined or deployed.unavailable)
        self.wait = Wait(variant=deployed.name)

    def add(self, endpoint: Endpoint) -> None:
        order = [one.name for one in self.deployed.endpoints]
        self.endpoints.append(endpoint)
        self.endpoints.sort(key=lambda one: order.index(one.name))


class _Function:
    """One deployed function."""

    __slots__ = ("default", "deployment", "variants")

    def __init__(self, deployment: Deployment, before: "_Function | None") -> None:
        same = before is not None and before.deployment.revision == deployment.revision
        kept = before.variants if before is not None and same else {}
        self.deployment: Deployment = deployment
        self.variants: dict[str, _Variant] = {
            one.name: _Variant(
                deployment.name, one, kept[one.name].service if one.name in kept else None
            )
            for one in deployment.variants
        }
        self.default = self.variants[deployment.default]

    def chosen(self, choice: Choice) -> _Variant:
        """Returns the variant for a call that asks for one.

        Raises:
            EdgefnError: There is none.
        """
        deployment = self.deployment
        return self.variants[choose(deployment.name, deployment.variants, choice).name]


class Router:
    """Decides where calls go.

    Args:
        max_outstanding: Most calls that one endpoint may hold.
    """

    def __init__(self, *, max_outstanding: int = MAX_OUTSTANDING) -> None:
        self._max_outstanding = max_outstanding
        self._functions: dict[str, _Function] = {}
        self._variants_of: dict[str, _Variant] = {}  # by endpoint, connected or not
        self._endpoints: dict[str, Endpoint] = {}

    def decide(self, now_s: float, call: Demand, rng: Rng) -> Decision:
        """Returns what to do with a call. A `Send` is counted as work of its endpoint at once."""
        function = self._functions.get(call.function)
        if function is None:
            return Refuse(
                error=NotDeployed(f"no function {call.function!r} is deployed on this box")
            )
        budget_s = inf if call.deadline_s is None else call.deadline_s - now_s
        if budget_s <= 0.0:
            return Refuse(
                error=DeadlineUnattainable(
                    f"the deadline passed {-budget_s * 1000:.1f} ms before the call could be sent"
                )
            )
        variant = function.default
        if call.choice is not None:
            try:
                variant = function.chosen(call.choice)
            except EdgefnError as error:
                return Refuse(error=error)
        if variant.refused:
            return Refuse(error=_refusal(call.function, variant.deployed))
        best, least_s = None, inf
        for endpoint in variant.endpoints:
            predicted_s = endpoint.predicted_s(now_s)
            if predicted_s > least_s or endpoint.outstanding >= self._max_outstanding:
                continue
            if best is None or predicted_s < least_s or endpoint.outstanding < best.outstanding:
                best, least_s = endpoint, predicted_s
        if best is None:
            return self._without_room(now_s, variant, budget_s)
        if least_s > budget_s * CLEAR_MARGIN:
            return Refuse(error=_unattainable(call.function, least_s, budget_s))
        best.assign()
        return _sent(now_s, call, variant.deployed.name, best, least_s)

    def hedge(self, now_s: float, call: Demand, first: Send, rng: Rng) -> Send | None:
        """Returns where a call that is not answered yet should go as well, if anywhere."""
        return None

    def retry(self, now_s: float, call: Demand, lost: Send, rng: Rng) -> Send | None:
        """Returns where a call that was lost should go instead, if anywhere."""
        return None

    def escalate(self, now_s: float, call: Demand, doubtful: Send, rng: Rng) -> Send | None:
        """Returns the better variant that a call with a doubtful answer should go to, if any."""
        return None

    def explain(self, now_s: float, call: Demand) -> Explanation:
        """Returns what would be decided about a call, and why; nothing is counted."""
        function = self._functions[call.function]
        candidates = [
            Candidate(endpoint=one.name, variant=variant.deployed.name, place=HERE, tier="")
            for variant in function.variants.values()
            for one in variant.endpoints
        ]
        return Explanation(
            function=call.function,
            objective=function.deployment.objective,
            budget_ms=None if call.deadline_s is None else (call.deadline_s - now_s) * 1000,
            decision="",
            candidates=tuple(candidates),
        )

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened. Events of endpoints that are gone are ignored."""
        if type(event) is Answered:
            endpoint = self._endpoints.get(event.send.endpoint)
            if endpoint is not None:
                if not event.abandoned:
                    endpoint.leave(now_s)
                endpoint.report(now_s, event.service_s, event.backlog_s, event.batch)
        elif isinstance(event, Abandoned):
            endpoint = self._endpoints.get(event.send.endpoint)
            if endpoint is not None:
                overdue_s = now_s - event.send.sent_s if event.overdue else 0.0
                endpoint.abandoned(now_s, overdue_s)
        elif isinstance(event, Failed):
            endpoint = self._endpoints.get(event.send.endpoint)
            if endpoint is not None:
                endpoint.abandoned(now_s, 0.0)
        elif isinstance(event, Connected):
            self._connect(now_s, event.endpoint)
        elif isinstance(event, Disconnected):
            self._disconnect(event.endpoint)
        elif isinstance(event, TableChanged):
            self._replace_table(event.deployments)

    def _without_room(self, now_s: float, variant: _Variant, budget_s: float) -> Decision:
        name = variant.function
        if variant.endpoints:
            soonest_s = min(endpoint.predicted_s(now_s) for endpoint in variant.endpoints)
            return Refuse(
                error=QueueFull(
                    f"all {len(variant.endpoints)} replicas of {name!r} hold "
                    f"{self._max_outstanding} calls; try again later",
                    retry_after_s=round(soonest_s, 3),
                )
            )
        load_s = variant.deployed.load_s
        if load_s > budget_s * HOPELESS_START:
            return Refuse(
                error=DeadlineUnattainable(
                    f"no replica of {name!r} runs, and its last start took {load_s:.3f} s; the "
                    f"call had {budget_s * 1000:.1f} ms left. One is being started: try again",
                    retry_after_s=round(load_s, 3),
                ),
                wake=variant.deployed.name,
            )
        return variant.wait

    def _connect(self, now_s: float, name: str) -> None:
        variant = self._variants_of.get(name)
        if variant is None or name in self._endpoints:
            return
        endpoint = Endpoint(name, variant.service, now_s)
        self._endpoints[name] = endpoint
        variant.add(endpoint)

    def _disconnect(self, name: str) -> None:
        endpoint = self._endpoints.pop(name, None)
        if endpoint is not None:
            self._variants_of[name].endpoints.remove(endpoint)

    def _replace_table(self, deployments: tuple[Deployment, ...]) -> None:
        self._functions = {
            deployment.name: _Function(deployment, self._functions.get(deployment.name))
            for deployment in deployments
        }
        connected, self._endpoints = self._endpoints, {}
        self._variants_of = {}
        for function in self._functions.values():
            for variant in function.variants.values():
                for name in (one.name for one in variant.deployed.endpoints):
                    self._variants_of[name] = variant
                    if name in connected:
                        self._endpoints[name] = connected[name]
                        variant.add(connected[name])


def _sent(now_s: float, call: Demand, variant: str, endpoint: Endpoint, predicted_s: float) -> Send:
    send = Send()
    send.endpoint, send.variant, send.place = endpoint.name, variant, HERE
    send.purpose, send.sent_s, send.size_bytes = "first", now_s, call.size_bytes
    send.deadline_s = inf if call.deadline_s is None else call.deadline_s
    send.network_s = send.cold_s = send.wait_s = 0.0
    send.service_s = send.bound_s = send.work_s = predicted_s
    send.sd_s, send.chance, send.hedge_at_s, send.degraded = 0.0, 1.0, inf, False
    send.ledger = None
    return send


def _refusal(function: str, variant: DeployedVariant) -> EdgefnError:
    if variant.quarantined:
        return Quarantined(
            f"variant {variant.name} of function {function!r} is quarantined: "
            f"{variant.quarantined}. Deploy a fixed revision or roll back"
        )
    return VariantUnavailable(
        f"variant {variant.name} of function {function!r} is not served here: {variant.unavailable}"
    )


def _unattainable(function: str, predicted_s: float, budget_s: float) -> DeadlineUnattainable:
    return DeadlineUnattainable(
        f"the replicas of {function!r} need about {predicted_s * 1000:.1f} ms; the call has "
        f"{budget_s * 1000:.1f} ms left",
        predicted_ms=round(predicted_s * 1000, 3),
        budget_ms=round(budget_s * 1000, 3),
    )
