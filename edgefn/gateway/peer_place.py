"""A peer's box as the router sees it: one place, over however many connections lead there."""

from collections.abc import Iterable

from edgefn.errors import ProtocolError
from edgefn.gateway.flight import Flight
from edgefn.gateway.peer_link import PeerLink
from edgefn.gateway.peer_wire import OfferedFunction
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.events import LoadReported
from edgefn.routing.table import DeployedEndpoint, Place

_LOAD_STEP_S = 0.05  # a start that takes so much longer or shorter is worth a new table
_WAY_STEP_S = 0.01  # and so is a way beyond a place


class PeerPlace:
    """The connected links to one box; a `Carrier` for the flights that go there.

    More than one link leads to a box that has several gateways, when both sides dial, and for a
    moment when a peer dials again before its lost connection was noticed: the newest is used.

    Args:
        place: As the router is told.
        relay: By way of which it is reached; None: there are links to it.

    Attributes:
        place: As the router is told.
        links: That have said what the box serves, the newest last.
        retiring: That take no more calls, but still have some.
    """

    def __init__(self, place: Place, relay: "PeerPlace | None" = None) -> None:
        self.place = place
        self.links: list[PeerLink] = [] if relay is None else relay.links
        self.retiring: list[PeerLink] = [] if relay is None else relay.retiring

    @property
    def active(self) -> PeerLink:
        """The link that calls take."""
        return self.links[-1]

    def send(self, flight: Flight, now_s: float) -> None:
        """Sends a call.

        Raises:
            ProtocolError: It does not fit a frame, or no link is left.
        """
        if not self.links:
            raise ProtocolError(f"no link to box {self.place.name} is up")
        self.active.send(flight, now_s)

    def forget(self, flight: Flight) -> None:
        """Stops waiting for a call, and tells the peer so."""
        for link in (*reversed(self.links), *self.retiring):
            if link.forget(flight):
                return


def endpoint_name(place: str, function: str, variant: str) -> str:
    """Returns the name of the endpoint that a function's variant is at a place."""
    return f"{place}/{function}/{variant}"


def endpoints_of(place: str, functions: Iterable[OfferedFunction]) -> tuple[PeerEndpoint, ...]:
    """Returns what the router may choose at a place, by what was said of it."""
    return tuple(
        PeerEndpoint(
            function=function.name,
            digest=function.digest,
            variant=variant.name,
            endpoint=DeployedEndpoint(
                name=endpoint_name(place, function.name, variant.name),
                place=place,
                replicas=variant.replicas,
                load_s=round(variant.load_s / _LOAD_STEP_S) * _LOAD_STEP_S,
                beyond_s=round(variant.beyond_s / _WAY_STEP_S) * _WAY_STEP_S,
            ),
        )
        for function in functions
        for variant in function.variants
    )


def loads_of(place: str, functions: Iterable[OfferedFunction]) -> tuple[LoadReported, ...]:
    """Returns what the router is told of the loads at a place."""
    return tuple(
        LoadReported(
            endpoint_name(place, function.name, variant.name), variant.backlog_s, variant.replicas
        )
        for function in functions
        for variant in function.variants
    )
