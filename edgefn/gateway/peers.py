"""The peers of a gateway: links that it dials and accepts, what is told over them, how they end."""

import asyncio
import logging
import socket
import ssl
import time
from functools import partial
from typing import Final

import msgspec

from edgefn.access.caller import Registry, Unauthorized
from edgefn.errors import ProtocolError, ReplicaLost
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.control import PlaceReport
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.peer_calls import PeerCalls
from edgefn.gateway.peer_dial import keep_dialled
from edgefn.gateway.peer_link import PeerLink
from edgefn.gateway.peer_offer import offered_by
from edgefn.gateway.peer_place import PeerPlace, endpoints_of, loads_of
from edgefn.gateway.peer_protocol import PeerProtocol, check_holder
from edgefn.gateway.peer_wire import Greeting, Summary
from edgefn.gateway.prober import Prober
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.events import ProbeAnswered, ProbeSent
from edgefn.routing.table import Place

_TICK_S: Final = 0.05
_MAX_ACCEPTED: Final = 256
_GREET_S: Final = 3.0

_LOG = logging.getLogger(__name__)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How often peers are spoken to.

    Attributes:
        summary_s: A summary is sent when it changed, and so often.
        silence_s: A link on which nothing was heard for so long is taken for lost. Outages of
            mobile networks last for seconds, and a link that survives one loses no call.
    """

    summary_s: float = 1.0
    silence_s: float = 5.0


USUAL_TIMES: Final = Times()


class Peers:
    """All links to peers.

    Args:
        greeting: Of this gateway.
        dispatcher: Answers calls of peers, and sends calls to them.
        memory: Bounds what bodies hold.
        times: How often peers are spoken to.
        registry: Of the certificates that count.
    """

    def __init__(
        self,
        greeting: Greeting,
        dispatcher: Dispatcher,
        memory: BodyMemory,
        *,
        times: Times = USUAL_TIMES,
        registry: Registry | None = None,
    ) -> None:
        self._greeting = greeting
        self._dispatcher = dispatcher
        self._memory = memory
        self._times = times
        self._registry = registry or Registry()
        self._links: set[PeerLink] = set()
        self._ungreeted: dict[PeerProtocol, float] = {}
        self._places: dict[str, PeerPlace] = {}
        self._endpoints: dict[str, tuple[PeerEndpoint, ...]] = {}
        self._known: dict[str, Place] = {}  # also those that are down
        self._changed = False
        self._told_s = 0.0
        self._closing = False
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, listener: socket.socket | None, addresses: tuple[str, ...]) -> None:
        """Starts to listen, and to dial.

        Args:
            listener: Bound and listening; None: no peer may dial this box.
            addresses: To dial, as `host:port`.
        """
        loop = asyncio.get_running_loop()
        if listener is not None:
            self._server = await loop.create_server(self.accept, sock=listener)
        for address in addresses:
            host, _, port = address.rpartition(":")
            dialling = keep_dialled(host.strip("[]"), int(port), self._protocol)
            self._tasks.append(loop.create_task(dialling))
        self._tasks.append(loop.create_task(self._keep_telling()))

    def dial_upstreams(self, addresses: tuple[str, ...], context: ssl.SSLContext) -> None:
        """Keeps hubs connected, with TLS.

        Args:
            addresses: To dial, as `host:port`.
            context: Shows the certificate of this box.
        """
        loop = asyncio.get_running_loop()
        for address in addresses:
            host, _, port = address.rpartition(":")
            make = partial(self._protocol, wants_hub=True)
            dialling = keep_dialled(host.strip("[]"), int(port), make, context)
            self._tasks.append(loop.create_task(dialling))

    def end_revoked(self) -> None:
        """Ends the links of boxes whose certificate does not count any more."""
        for link in tuple(self._links):
            if link.protocol.identity is not None:
                try:
                    self._registry.check_certificate(link.protocol.identity, time.time())
                except Unauthorized as error:
                    link.protocol.abort(error.message)

    def changed(self) -> None:
        """Tells peers soon that this box serves something else, or with other replicas."""
        self._changed = True

    def calls(self) -> int:
        """Returns how many calls of peers are under way here."""
        return sum(len(link.calls) for link in self._links)

    def reports(self) -> tuple[PlaceReport, ...]:
        """Returns what the box tells operators of each peer that was linked."""
        return tuple(self._report(place) for place in self._known.values())

    def withdraw(self) -> None:
        """Tells all peers to send nothing more: the box is about to end."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for link in self._links:
            link.summarise(Summary())

    async def aclose(self) -> None:
        """Ends all links. The calls that they hold fail."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for protocol in (*self._ungreeted, *(link.protocol for link in self._links)):
            protocol.abort("the gateway stops")

    # What links tell (`peer_link.PeerLinkOwner`).

    def digest_of(self, function: str) -> str:
        """Returns the digest of the bundle that is called by this name, or nothing."""
        found = self._dispatcher.functions.get(function)
        return found.route.digest if found is not None else ""

    def summarised(self, link: PeerLink, summary: Summary) -> None:
        """Tells the router what a peer has, and how busy it is."""
        box = link.greeting.box
        place = self._places.get(box)
        if place is None:
            greeting = link.greeting
            place = PeerPlace(Place(name=box, tier=greeting.tier, site=greeting.site))
            self._places[box] = place
            self._remember(place.place)
        if link not in place.links:
            place.links.append(link)
        if place.active is not link:
            return
        endpoints = endpoints_of(box, summary)
        if self._endpoints.get(box) != endpoints:
            self._offer(place, endpoints)
        for load in loads_of(box, summary):
            self._dispatcher.observe(load)

    def not_taken(self, link: PeerLink, endpoint: str) -> None:
        """Takes an endpoint out, until the peer says again what it has."""
        box = link.greeting.box
        place, before = self._places.get(box), self._endpoints.get(box, ())
        left = tuple(one for one in before if one.endpoint.name != endpoint)
        if place is not None and left != before:
            self._offer(place, left)

    def probe_sent(self, link: PeerLink) -> None:
        """Tells the router."""
        self._dispatcher.observe(ProbeSent(link.greeting.box))

    def probe_answered(self, link: PeerLink, took_s: float, size_bytes: int) -> None:
        """Tells the router."""
        self._dispatcher.observe(ProbeAnswered(link.greeting.box, took_s, size_bytes))

    def _remember(self, place: Place) -> None:
        self._known.pop(place.name, None)
        self._known[place.name] = place
        if len(self._known) > _MAX_ACCEPTED:
            gone = next((name for name in self._known if name not in self._places), place.name)
            del self._known[gone]

    def _report(self, place: Place) -> PlaceReport:
        up = self._places.get(place.name)
        if up is None:
            return PlaceReport(place.name, place.tier, False)
        rtt_s = round(self._dispatcher.round_trip_s(place.name), 4)
        calls = sum(link.under_way for link in up.links)
        return PlaceReport(place.name, place.tier, True, rtt_s, calls)

    def _offer(self, place: PeerPlace, endpoints: tuple[PeerEndpoint, ...]) -> None:
        """Lets the dispatcher send to exactly these endpoints of a place."""
        box = place.place.name
        before = {one.endpoint.name for one in self._endpoints.get(box, ())}
        self._endpoints[box] = endpoints
        self._dispatcher.set_place(place.place, endpoints)
        for one in endpoints:
            if one.endpoint.name not in before:
                self._dispatcher.connected(one.endpoint.name, place)

    def accept(self) -> PeerProtocol:
        """Returns the protocol of a connection that a peer made."""
        protocol = self._protocol()
        if len(self._links) + len(self._ungreeted) > _MAX_ACCEPTED:
            loop = asyncio.get_running_loop()
            loop.call_soon(protocol.abort, f"there are {_MAX_ACCEPTED} links already")
        return protocol

    def _protocol(self, *, wants_hub: bool = False) -> PeerProtocol:
        protocol = PeerProtocol(self._greeting, self._greeted, wants_hub=wants_hub)
        self._ungreeted[protocol] = time.monotonic()
        protocol.closed.add_done_callback(partial(self._not_greeted, protocol))
        return protocol

    def _not_greeted(self, protocol: PeerProtocol, closed: asyncio.Future[str]) -> None:
        if self._ungreeted.pop(protocol, None) is not None and protocol.identity is not None:
            _LOG.warning("no link with box %s: %s", protocol.identity.name, closed.result())

    def _greeted(self, protocol: PeerProtocol, greeting: Greeting) -> None:
        self._check(protocol, greeting)
        self._ungreeted.pop(protocol, None)
        link = PeerLink(
            protocol,
            greeting,
            control=self._dispatcher.flights,
            owner=self,
            calls=PeerCalls(self._dispatcher, self._memory, protocol.write),
            prober=Prober(time.monotonic()),
        )
        self._links.add(link)
        protocol.closed.add_done_callback(partial(self._lost, link))
        _LOG.info("linked with %s of %s, %s", greeting.box, greeting.site, greeting.tier)
        self._summarise(link)

    def _check(self, protocol: PeerProtocol, greeting: Greeting) -> None:
        if protocol.is_secure:
            check_holder(protocol.identity, greeting, wants_hub=protocol.wants_hub)
            assert protocol.identity is not None
            try:
                self._registry.check_certificate(protocol.identity, time.time())
            except Unauthorized as error:
                raise ProtocolError(error.message) from error
        if greeting.box == self._greeting.box:
            raise ProtocolError(f"it has the name of this box, {greeting.box!r}: give it another")
        for link in self._links:
            known = link.greeting
            if known.box == greeting.box and known.site != greeting.site:
                raise ProtocolError(
                    f"box {greeting.box!r} is known at site {known.site!r}; another one at "
                    f"{greeting.site!r} must have another name"
                )

    def _lost(self, link: PeerLink, closed: asyncio.Future[str]) -> None:
        why, box = closed.result(), link.greeting.box
        self._links.discard(link)
        place = self._places.get(box)
        if place is not None and link in place.links:
            was_active = place.active is link
            place.links.remove(link)
            if not place.links:
                del self._places[box]
                self._endpoints.pop(box, None)
                self._dispatcher.remove_place(box)
            elif was_active:
                self.summarised(place.active, place.active.summary)
        error = ReplicaLost(f"the link to box {box} was lost before it answered: {why}")
        for flight, unsent in link.take_lost():
            self._dispatcher.flights.lost(flight, error, unsent=unsent)

    async def _keep_telling(self) -> None:
        while True:
            try:
                self._tell(time.monotonic())
            except Exception:
                _LOG.exception("telling peers failed; it goes on")
            await asyncio.sleep(_TICK_S)

    def _tell(self, now_s: float) -> None:
        self._end_silent(now_s)
        self.end_revoked()
        for place in self._places.values():
            place.active.probe_if_due(now_s)
        if self._changed or now_s - self._told_s >= self._times.summary_s:
            self._changed, self._told_s = False, now_s
            self._summarise(*self._links)

    def _summarise(self, *links: PeerLink) -> None:
        if links and not self._closing:
            summary = offered_by(self._dispatcher)
            for link in links:
                link.summarise(summary)

    def _end_silent(self, now_s: float) -> None:
        for protocol, since_s in tuple(self._ungreeted.items()):
            if now_s - since_s > _GREET_S:
                protocol.abort("it did not greet in time")
        silence_s = self._times.silence_s
        for link in tuple(self._links):
            if now_s - link.protocol.heard_s > silence_s:
                link.protocol.abort(f"nothing was heard of it for {silence_s:g} s")
