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

from edgefn.errors import DeadlineUnattainable, NotDeployed, Quarantined, QueueFull
from edgefn.routing.decisions import Decision, Demand, Refuse, Wait
from edgefn.routing.endpoint import Endpoint, ServiceTime
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Deployment,
    Disconnected,
    Event,
    TableChanged,
)

CLEAR_MARGIN: Final = 1.25
HOPELESS_START: Final = 2.0
MAX_OUTSTANDING: Final = 256

_WAIT: Final = Wait()


class _Function:
    """One deployed function and its connected endpoints."""

    __slots__ = ("deployment", "endpoints", "service")

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.endpoints: list[Endpoint] = []
        self.service = ServiceTime()

    def replace(self, deployment: Deployment) -> None:
        if deployment.revision != self.deployment.revision:
            self.service = ServiceTime()
        self.deployment = deployment
        self.endpoints = [one for one in self.endpoints if one.name in deployment.endpoints]

    def add(self, endpoint: Endpoint) -> None:
        order = self.deployment.endpoints
        self.endpoints.append(endpoint)
        self.endpoints.sort(key=lambda one: order.index(one.name))


class Router:
    """Decides where calls go.

    Args:
        max_outstanding: Most calls that one endpoint may hold.
    """

    def __init__(self, *, max_outstanding: int = MAX_OUTSTANDING) -> None:
        self._max_outstanding = max_outstanding
        self._functions: dict[str, _Function] = {}
        self._functions_of: dict[str, _Function] = {}  # by endpoint, connected or not
        self._endpoints: dict[str, Endpoint] = {}

    def decide(self, now_s: float, call: Demand) -> Decision:
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
        if function.deployment.quarantined:
            return Refuse(error=_quarantined(function.deployment))
        best, least_s = None, inf
        for endpoint in function.endpoints:
            predicted_s = endpoint.predicted_s(now_s)
            if predicted_s > least_s or endpoint.outstanding >= self._max_outstanding:
                continue
            if best is None or predicted_s < least_s or endpoint.outstanding < best.outstanding:
                best, least_s = endpoint, predicted_s
        if best is None:
            return self._without_room(now_s, function, budget_s)
        if least_s > budget_s * CLEAR_MARGIN:
            return Refuse(error=_unattainable(call.function, least_s, budget_s))
        best.assign()
        return best.send

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened. Events of endpoints that are gone are ignored."""
        if type(event) is Answered:
            endpoint = self._endpoints.get(event.endpoint)
            if endpoint is not None:
                if not event.abandoned:
                    endpoint.leave(now_s)
                endpoint.report(now_s, event.service_s, event.backlog_s, event.batch)
        elif isinstance(event, Abandoned):
            endpoint = self._endpoints.get(event.endpoint)
            if endpoint is not None:
                endpoint.abandoned(now_s, event.overdue_s)
        elif isinstance(event, Connected):
            self._connect(now_s, event.endpoint)
        elif isinstance(event, Disconnected):
            self._disconnect(event.endpoint)
        elif isinstance(event, TableChanged):
            self._replace_table(event.deployments)

    def _without_room(self, now_s: float, function: _Function, budget_s: float) -> Decision:
        name = function.deployment.name
        if function.endpoints:
            soonest_s = min(endpoint.predicted_s(now_s) for endpoint in function.endpoints)
            return Refuse(
                error=QueueFull(
                    f"all {len(function.endpoints)} replicas of {name!r} hold "
                    f"{self._max_outstanding} calls; try again later",
                    retry_after_s=round(soonest_s, 3),
                )
            )
        load_s = function.deployment.load_s
        if load_s > budget_s * HOPELESS_START:
            return Refuse(
                error=DeadlineUnattainable(
                    f"no replica of {name!r} runs, and its last start took {load_s:.3f} s; the "
                    f"call had {budget_s * 1000:.1f} ms left. One is being started: try again",
                    retry_after_s=round(load_s, 3),
                ),
                wake=True,
            )
        return _WAIT

    def _connect(self, now_s: float, name: str) -> None:
        function = self._functions_of.get(name)
        if function is None or name in self._endpoints:
            return
        endpoint = Endpoint(name, function.service, now_s)
        self._endpoints[name] = endpoint
        function.add(endpoint)

    def _disconnect(self, name: str) -> None:
        endpoint = self._endpoints.pop(name, None)
        if endpoint is not None:
            self._functions_of[name].endpoints.remove(endpoint)

    def _replace_table(self, deployments: tuple[Deployment, ...]) -> None:
        functions: dict[str, _Function] = {}
        self._functions_of = {}
        for deployment in deployments:
            function = self._functions.get(deployment.name)
            if function is None:
                function = _Function(deployment)
            else:
                function.replace(deployment)
            functions[deployment.name] = function
            for name in deployment.endpoints:
                self._functions_of[name] = function
        self._functions = functions
        self._endpoints = {
            endpoint.name: endpoint
            for function in functions.values()
            for endpoint in function.endpoints
        }


def _quarantined(deployment: Deployment) -> Quarantined:
    return Quarantined(
        f"function {deployment.name!r} is quarantined: {deployment.quarantined}. "
        "Deploy a fixed revision or roll back"
    )


def _unattainable(function: str, predicted_s: float, budget_s: float) -> DeadlineUnattainable:
    return DeadlineUnattainable(
        f"the replicas of {function!r} need about {predicted_s * 1000:.1f} ms; the call has "
        f"{budget_s * 1000:.1f} ms left",
        predicted_ms=round(predicted_s * 1000, 3),
        budget_ms=round(budget_s * 1000, 3),
    )
