"""All functions, endpoints and places that are deployed, and what was learned of them, by name."""

from edgefn.routing.calibration import Calibration
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.events import LoadReported, TableChanged
from edgefn.routing.function import Function
from edgefn.routing.network import Path
from edgefn.routing.price import Pool
from edgefn.routing.server import Server
from edgefn.routing.service import Service
from edgefn.routing.table import HERE, DeployedEndpoint, DeployedVariant, Deployment, Place


class Registry:
    """What is deployed now.

    Args:
        max_outstanding: Most calls that one replica may hold.
        max_forwards: How often a call may be forwarded.

    Attributes:
        functions: By name.
        endpoints: Those that are connected, by name.
        servers: Of all that are connected, by name.
        paths: By place.
        pools: By place.
        stale: Functions whose endpoints have changed, by name: to be gathered before they are used.
    """

    def __init__(self, max_outstanding: int, max_forwards: int) -> None:
        self._max_outstanding = max_outstanding
        self._max_forwards = max_forwards
        self._listed: dict[str, tuple[Function, DeployedVariant, DeployedEndpoint]] = {}
        self.functions: dict[str, Function] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.servers: dict[str, Server] = {}
        self.paths: dict[str, Path] = {}
        self.pools: dict[str, Pool] = {}
        self.stale: dict[str, Function] = {}

    def replace(self, now_s: float, table: TableChanged) -> None:
        """Takes what is deployed now; what was learned stays, unless the revision is new."""
        places = {one.name: one for one in table.places}
        places.setdefault(HERE, Place())
        self.paths = {name: self._path(now_s, one) for name, one in places.items()}
        self.pools = {name: self.pools.get(name) or Pool() for name in places}
        before, self.functions = self.functions, {}
        for deployment in table.deployments:
            known = before.get(deployment.name)
            function = self._function(now_s, deployment, known, places)
            self.functions[deployment.name] = function
        self._listed = {
            one.name: (function, variant, one)
            for function in self.functions.values()
            for variant in function.deployment.variants
            for one in variant.endpoints
            if _may_serve(function.deployment, variant, one, places)
        }
        for name in [name for name in self.endpoints if name not in self._listed]:
            self._release(name)
        for name, endpoint in self.endpoints.items():
            self._settle(endpoint, *self._listed[name])
        self.stale = dict(self.functions)

    def connect(self, now_s: float, name: str) -> None:
        """Takes a listed endpoint into use, unless it is already."""
        if name not in self._listed or name in self.endpoints:
            return
        function, variant, listed = self._listed[name]
        server = self.servers.get(listed.server or name)
        if server is None:
            parallel = max(1, listed.replicas)
            server = Server(listed.server or name, now_s, parallel, function.deployment.max_batch)
            self.servers[server.name] = server
        server.endpoints += 1
        endpoint = Endpoint(name, function.deployment.name, variant.name, server, now_s)
        self._settle(endpoint, function, variant, listed)
        self.endpoints[name] = endpoint
        self._changed(function)

    def disconnect(self, name: str) -> None:
        """Uses an endpoint no more; what was under way there is of no account any more."""
        if name in self.endpoints:
            self._changed(self.functions[self._release(name).function])

    def reported(self, now_s: float, report: LoadReported) -> None:
        """Takes what a peer says of an endpoint."""
        endpoint = self.endpoints.get(report.endpoint)
        if endpoint is None:
            return
        path = endpoint.path
        path.heard(now_s)
        endpoint.server.parallel = max(1, report.replicas)
        endpoint.server.reported(now_s, report.backlog_s, path.fixed_s, here=False)
        if endpoint.replicas != report.replicas:
            endpoint.replicas = report.replicas
            function, variant, listed = self._listed[report.endpoint]
            _set_lead(endpoint, variant, listed)
            self._changed(function)

    def _function(
        self,
        now_s: float,
        deployment: Deployment,
        known: Function | None,
        places: dict[str, Place],
    ) -> Function:
        same = known is not None and known.deployment.revision == deployment.revision
        learned = known.services if known is not None and same else {}
        services = {
            one.name: learned.get(one.name) or Service(one.fixed_s, one.each_s, one.cv)
            for one in deployment.variants
        }
        trusted = known.calibrations if known is not None and same else {}
        tiers = {place.tier for place in places.values()}
        home = places[HERE]
        return Function(
            deployment,
            home,
            services,
            {tier: trusted.get(tier) or Calibration(now_s) for tier in tiers},
            startable=_in_tiers(deployment, home, places),
            max_forwards=self._max_forwards,
        )

    def _path(self, now_s: float, place: Place) -> Path:
        known = self.paths.get(place.name)
        if known is None:
            return Path(place, now_s)
        known.place = place
        return known

    def _settle(
        self,
        endpoint: Endpoint,
        function: Function,
        variant: DeployedVariant,
        listed: DeployedEndpoint,
    ) -> None:
        endpoint.path = self.paths[listed.place]
        endpoint.pool = self.pools[listed.place]
        endpoint.here = listed.place == HERE
        endpoint.service = function.services[variant.name]
        endpoint.calibration = function.calibrations[endpoint.path.place.tier]
        endpoint.accuracy = variant.accuracy
        endpoint.bytes_factor = variant.bytes_factor
        endpoint.replicas = listed.replicas
        endpoint.limit = self._max_outstanding * max(1, listed.replicas)
        endpoint.server.parallel = max(1, listed.replicas)
        _set_lead(endpoint, variant, listed)
        endpoint.settle()

    def gather(self) -> None:
        """Tells functions which endpoints they have, and places how much they can do.

        Many endpoints come and go together, and this is work for all of a function at a time.
        """
        endpoints = self.endpoints
        for function in self.stale.values():
            function.connect(
                endpoints[one.name]
                for variant in function.deployment.variants
                for one in variant.endpoints
                if one.name in endpoints
            )
        self.stale.clear()
        for pool in self.pools.values():
            pool.servers = 0
        for one in {one.server.name: one for one in endpoints.values()}.values():
            one.pool.servers += one.server.parallel

    def _changed(self, function: Function) -> None:
        self.stale[function.deployment.name] = function

    def _release(self, name: str) -> Endpoint:
        """Forgets an endpoint, and its server with the last one."""
        endpoint = self.endpoints.pop(name)
        endpoint.gone = True
        server = endpoint.server
        server.endpoints -= 1
        if not server.endpoints:
            del self.servers[server.name]
        return endpoint


def _set_lead(endpoint: Endpoint, variant: DeployedVariant, listed: DeployedEndpoint) -> None:
    endpoint.prefix_s = variant.prefix_s
    start_s = 0.0 if endpoint.replicas else listed.load_s
    endpoint.ahead_s = variant.prefix_s + start_s + listed.beyond_s


def _may_serve(
    deployment: Deployment,
    variant: DeployedVariant,
    endpoint: DeployedEndpoint,
    places: dict[str, Place],
) -> bool:
    place = places.get(endpoint.place)
    if place is None or not _in_tiers(deployment, place, places):
        return False
    return place.name != HERE or not (variant.unavailable or variant.quarantined)


def _in_tiers(deployment: Deployment, place: Place, places: dict[str, Place]) -> bool:
    """Whether a function may run at a place; if there is none in any of its tiers, then here."""
    tiers = deployment.tiers
    if place.tier in tiers:
        return True
    return place.name == HERE and not any(one.tier in tiers for one in places.values())
