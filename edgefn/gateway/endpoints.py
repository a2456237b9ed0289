"""Where calls can be sent now: the replicas of this box, and what peers have of its bundles."""

import time
from collections.abc import Iterable

from edgefn.gateway.control import Routes
from edgefn.gateway.flight import Carrier
from edgefn.gateway.table import PeerEndpoint, deployment_of, endpoints_of
from edgefn.routing.events import Connected, Disconnected, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.table import HERE, Place


class Endpoints:
    """Tells the router what there is, and what of it is connected.

    Args:
        router: Told of every change.
        here: Where this box is.

    Attributes:
        carriers: By endpoint that takes calls.
        places: By name.
    """

    def __init__(self, router: Router, here: Place) -> None:
        self._router = router
        self._routes = Routes(0, ())
        self._peers: dict[str, tuple[PeerEndpoint, ...]] = {}
        self._listed: set[str] = set()
        self.carriers: dict[str, Carrier] = {}
        self.places: dict[str, Place] = {HERE: here}

    def update(self, routes: Routes) -> None:
        """Takes what the box serves now."""
        self._routes = routes
        self._change_table()

    def set_place(self, place: Place, endpoints: Iterable[PeerEndpoint]) -> None:
        """Adds a peer, or replaces what it has. Calls go to an endpoint once it is connected.

        Args:
            place: The peer.
            endpoints: All that it serves, deployed here or not; each names the place.
        """
        before = self._names(place.name)
        self.places[place.name] = place
        self._peers[place.name] = tuple(endpoints)
        self.disconnect(before - self._names(place.name))
        self._change_table()

    def remove_place(self, name: str) -> None:
        """Sends nothing more to a peer. Its carrier says next which flights are lost."""
        self.disconnect(self._names(name))
        self._peers.pop(name, None)
        self.places.pop(name, None)
        self._change_table()

    def connect(self, endpoint: str, carrier: Carrier) -> None:
        """Lets the router send to an endpoint."""
        self.carriers[endpoint] = carrier
        self._router.observe(time.monotonic(), Connected(endpoint))

    def disconnect(self, endpoints: Iterable[str]) -> None:
        """Sends nothing more to endpoints; those that are not connected do not matter."""
        now_s = time.monotonic()
        for endpoint in endpoints:
            if self.carriers.pop(endpoint, None) is not None:
                self._router.observe(now_s, Disconnected(endpoint))

    def _change_table(self) -> None:
        peers = tuple(one for endpoints in self._peers.values() for one in endpoints)
        deployments = tuple(deployment_of(route, peers) for route in self._routes.functions)
        changed = TableChanged(deployments, tuple(self.places.values()))
        now_s = time.monotonic()
        self._router.observe(now_s, changed)
        listed = set(endpoints_of(deployments))
        for endpoint in listed - self._listed:
            if endpoint in self.carriers:  # a peer's that has the same bundle again
                self._router.observe(now_s, Connected(endpoint))
        self._listed = listed

    def _names(self, place: str) -> set[str]:
        return {one.endpoint.name for one in self._peers.get(place, ())}
