"""The endpoints of one ingress site as a baseline sees them, kept by the events of a router."""

from math import inf

from edgefn.routing.decisions import Demand, Purpose, Send
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Event,
    Failed,
    LoadReported,
    ProbeAnswered,
    TableChanged,
)
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment
from edgefn.simulate.baselines.known import Option, Path, Server


class Table:
    """Which options the calls of each function have, and what is known of them.

    Attributes:
        deployments: By function.
        paths: By the name of their place.
        servers: By name.
    """

    def __init__(self) -> None:
        self.deployments: dict[str, Deployment] = {}
        self.paths: dict[str, Path] = {}
        self.servers: dict[str, Server] = {}
        self._options: dict[str, Option] = {}
        self._of: dict[str, list[Option]] = {}
        self._up: dict[str, list[Option]] = {}

    def options(self, function: str) -> list[Option]:
        """Returns the endpoints that take calls of a function, of variants that may answer."""
        up = self._up.get(function)
        if up is None:
            up = self._up[function] = [one for one in self._of.get(function, ()) if one.up]
        return up

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened."""
        if type(event) is Answered:
            self._answered(now_s, event)
        elif isinstance(event, Abandoned | Failed):
            _close(event.send)
        elif isinstance(event, Connected):
            self._mark(event.endpoint, up=True)
        elif isinstance(event, Disconnected):
            self._mark(event.endpoint, up=False)
        elif isinstance(event, LoadReported):
            option = self._options.get(event.endpoint)
            if option is not None:
                option.server.report(now_s, event.backlog_s)
        elif isinstance(event, ProbeAnswered):
            path = self.paths.get(event.place)
            if path is not None:
                path.learn(event.took_s)
        elif isinstance(event, TableChanged):
            self._replace(event)

    def _answered(self, now_s: float, event: Answered) -> None:
        send = event.send
        _close(send)
        option = self._options.get(send.endpoint)
        if option is None:
            return
        server = option.server
        server.report(now_s, event.backlog_s)
        if event.batch:
            option.learn(event.service_s, event.batch)
            there_s = event.queue_s + event.service_s + option.variant.prefix_s
            server.path.learn(max(now_s - send.sent_s - there_s, 0.0))

    def _mark(self, endpoint: str, *, up: bool) -> None:
        option = self._options.get(endpoint)
        if option is not None:
            option.up = up
            self._up.clear()

    def _replace(self, event: TableChanged) -> None:
        paths = self.paths
        self.paths = {one.name: paths.get(one.name) or Path(one) for one in event.places}
        before, self._options = self._options, {}
        servers, self.servers = self.servers, {}
        self._up.clear()
        self.deployments = {one.name: one for one in event.deployments}
        self._of = {
            deployment.name: [
                self._option(deployment.name, variant, endpoint, before, servers)
                for variant in deployment.variants
                if _may_answer(deployment, variant)
                for endpoint in variant.endpoints
                if self.paths[endpoint.place].place.tier in deployment.tiers
            ]
            for deployment in event.deployments
        }

    def _option(
        self,
        function: str,
        variant: DeployedVariant,
        endpoint: DeployedEndpoint,
        before: dict[str, Option],
        servers: dict[str, Server],
    ) -> Option:
        name = endpoint.server or endpoint.name
        if name not in self.servers:
            self.servers[name] = servers.get(name) or Server(
                name, self.paths[endpoint.place], max(1, endpoint.replicas)
            )
        known = before.get(endpoint.name)
        if known is None or known.variant != variant:
            up = known is not None and known.up
            known = Option(function, endpoint.name, variant, self.servers[name], up=up)
        self._options[endpoint.name] = known
        return known


def send(now_s: float, call: Demand, option: Option, purpose: Purpose = "first") -> Send:
    """Returns the order to send a call to an option, and counts it there."""
    server = option.server
    one = Send()
    one.endpoint, one.variant, one.place = option.name, option.variant.name, server.path.place.name
    one.purpose, one.sent_s, one.size_bytes = purpose, now_s, call.size_bytes
    one.deadline_s = inf if call.deadline_s is None else call.deadline_s
    one.network_s, one.cold_s = server.path.network_s, 0.0
    one.wait_s, one.service_s = server.wait_s(now_s), option.run_s * server.slowness
    one.sd_s, one.bound_s, one.chance = 0.0, option.latency_s(now_s), 1.0
    one.work_s = option.work_s
    one.hedge_at_s, one.degraded = inf, False
    one.ledger = option
    server.add(one.work_s)
    return one


def _close(send: Send) -> None:
    option = send.ledger
    if isinstance(option, Option):
        send.ledger = None
        option.server.remove(send.work_s)


def _may_answer(deployment: Deployment, variant: DeployedVariant) -> bool:
    if variant.quarantined:
        return False
    floor = deployment.min_accuracy
    return floor is None or variant.accuracy is None or variant.accuracy >= floor
