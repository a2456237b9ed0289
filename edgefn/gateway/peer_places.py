"""What peers say of themselves, made into places that the dispatcher can send to."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from edgefn.gateway.control import PlaceReport
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.peer_link import PeerLink
from edgefn.gateway.peer_place import PeerPlace, endpoints_of, loads_of
from edgefn.gateway.peer_relay import Reached
from edgefn.gateway.peer_wire import MAX_FORWARDS, OfferedFunction, Relay, Summary
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.events import ProbeAnswered, ProbeSent
from edgefn.routing.table import Place

_MAX_KNOWN: Final = 1024
_MAX_RELAYS: Final = 8  # tiers that one peer relays to


class PeerPlaces:
    """All places at the ends of links (`peer_link.PeerLinkOwner`).

    Args:
        dispatcher: Told where it can send calls.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._places: dict[str, PeerPlace] = {}
        self._relays: dict[str, dict[str, PeerPlace]] = {}
        self._endpoints: dict[str, tuple[PeerEndpoint, ...]] = {}
        self._known: dict[str, Place] = {}  # also those that are down

    def active(self) -> Iterator[PeerLink]:
        """Yields the link of each place that calls take."""
        return (place.active for place in self._places.values() if place.links)

    def link_to(self, box: str) -> PeerLink | None:
        """Returns the link that calls to a box take, if one is up."""
        place = self._places.get(box)
        return place.active if place is not None and place.links else None

    def reports(self) -> tuple[PlaceReport, ...]:
        """Returns what the box tells operators of each peer that was linked."""
        return tuple(self._report(place) for place in self._known.values())

    def reached(self, counts: Callable[[PeerLink], bool]) -> Iterator[Reached]:
        """Yields the peers that calls can be sent on to.

        Args:
            counts: Whether a link is one over which calls of others are sent.
        """
        for box, place in self._places.items():
            if place.links and counts(place.active):
                way_s = self._dispatcher.round_trip_s(box)
                summary = place.active.summary
                yield Reached(box=box, tier=place.place.tier, way_s=way_s, summary=summary)

    def lost(self, link: PeerLink) -> None:
        """Sends nothing more over a link that is gone."""
        place = self._places.get(link.greeting.box)
        if place is not None:
            if link in place.retiring:
                place.retiring.remove(link)
            self._take_out(place, link)

    def retire(self, link: PeerLink) -> None:
        """Sends no new calls over a link."""
        place = self._places.get(link.greeting.box)
        if place is not None and link in place.links:
            place.retiring.append(link)
            self._take_out(place, link)

    # What links tell (`peer_link.PeerLinkOwner`).

    def digest_of(self, function: str) -> str:
        """Returns the digest of the bundle that is called by this name, or nothing."""
        found = self._dispatcher.functions.get(function)
        return found.route.digest if found is not None else ""

    def summarised(self, link: PeerLink, summary: Summary) -> None:
        """Tells the router what a peer has, and how busy it is."""
        if link.retired:
            return
        place = self._place_of(link)
        if link not in place.links:
            place.links.append(link)
        if place.active is link:
            self._take(place, summary.functions)
            self._take_relays(place, summary.relays)

    def not_taken(self, link: PeerLink, endpoint: str) -> None:
        """Takes an endpoint out, until the peer says again what it has."""
        for place in self._all_of(link.greeting.box):
            before = self._endpoints.get(place.place.name, ())
            left = tuple(one for one in before if one.endpoint.name != endpoint)
            if left != before:
                self._offer(place, left)

    def probe_sent(self, link: PeerLink) -> None:
        """Tells the router, also of what lies beyond."""
        for place in self._all_of(link.greeting.box):
            self._dispatcher.observe(ProbeSent(place.place.name))

    def probe_answered(self, link: PeerLink, took_s: float, size_bytes: int) -> None:
        """Tells the router, also of what lies beyond."""
        for place in self._all_of(link.greeting.box):
            self._dispatcher.observe(ProbeAnswered(place.place.name, took_s, size_bytes))

    def _place_of(self, link: PeerLink) -> PeerPlace:
        greeting = link.greeting
        place = self._places.get(greeting.box)
        if place is None:
            place = PeerPlace(Place(name=greeting.box, tier=greeting.tier, site=greeting.site))
            self._places[greeting.box] = place
            self._remember(place.place)
        return place

    def _all_of(self, box: str) -> Iterator[PeerPlace]:
        """Yields all places to which the links to a box lead."""
        place = self._places.get(box)
        if place is not None:
            yield place
        yield from tuple(self._relays.get(box, {}).values())

    def _take_relays(self, place: PeerPlace, relays: tuple[Relay, ...]) -> None:
        box = place.place.name
        before, now = self._relays.get(box, {}), {}
        for relay in relays[:_MAX_RELAYS]:
            name = f"{box}:{relay.tier}"
            there = Place(name=name, tier=relay.tier, site=place.place.site, forwards=MAX_FORWARDS)
            now[name] = before.get(name) or PeerPlace(there, place)
            self._take(now[name], relay.functions)
        self._relays[box] = now
        for name in before.keys() - now.keys():
            self._forget(name)

    def _take(self, place: PeerPlace, functions: Iterable[OfferedFunction]) -> None:
        functions = tuple(functions)
        endpoints = endpoints_of(place.place.name, functions)
        if self._endpoints.get(place.place.name) != endpoints:
            self._offer(place, endpoints)
        for load in loads_of(place.place.name, functions):
            self._dispatcher.observe(load)

    def _offer(self, place: PeerPlace, endpoints: tuple[PeerEndpoint, ...]) -> None:
        """Lets the dispatcher send to exactly these endpoints of a place."""
        name = place.place.name
        before = {one.endpoint.name for one in self._endpoints.get(name, ())}
        self._endpoints[name] = endpoints
        self._dispatcher.set_place(place.place, endpoints)
        for one in endpoints:
            if one.endpoint.name not in before:
                self._dispatcher.connected(one.endpoint.name, place)

    def _take_out(self, place: PeerPlace, link: PeerLink) -> None:
        was_active = bool(place.links) and place.active is link
        if link in place.links:
            place.links.remove(link)
        box = place.place.name
        if place.links:
            if was_active:
                self.summarised(place.active, place.active.summary)
            return
        for name in self._relays.pop(box, {}):
            self._forget(name)
        self._forget(box)
        if not place.retiring:
            del self._places[box]

    def _forget(self, name: str) -> None:
        if self._endpoints.pop(name, None) is not None:
            self._dispatcher.remove_place(name)

    def _remember(self, place: Place) -> None:
        self._known.pop(place.name, None)
        self._known[place.name] = place
        if len(self._known) > _MAX_KNOWN:
            gone = next((name for name in self._known if name not in self._places), place.name)
            del self._known[gone]

    def _report(self, place: Place) -> PlaceReport:
        up = self._places.get(place.name)
        if up is None or not up.links:
            return PlaceReport(place.name, place.tier, False)
        rtt_s = round(self._dispatcher.round_trip_s(place.name), 4)
        calls = sum(link.under_way for link in (*up.links, *up.retiring))
        asked = up.active.summary.reserves
        known = {name: count for name, count in asked.items() if name in self._dispatcher.functions}
        return PlaceReport(place.name, place.tier, True, rtt_s, calls, known)
