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
from edgefn.gateway.peer_asks import Answer, PeerAsks
from edgefn.gateway.peer_calls import PeerCalls
from edgefn.gateway.peer_dials import Dials
from edgefn.gateway.peer_link import PeerLink
from edgefn.gateway.peer_offer import lacking, offered_by
from edgefn.gateway.peer_places import PeerPlaces
from edgefn.gateway.peer_protocol import PeerProtocol, check_holder
from edgefn.gateway.peer_relay import Relays
from edgefn.gateway.peer_reserves import reserves_of
from edgefn.gateway.peer_wire import Greeting, Summary
from edgefn.gateway.prober import Prober

_TICK_S: Final = 0.05
_MAX_ACCEPTED: Final = 1024
_GREET_S: Final = 3.0
_RETIRE_S: Final = 10.0  # at most, for what a link has under way
_QUIET_S: Final = 0.3  # what the peer sent before it heard of the end has come by then

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
        answer: Answers what the hub asks for its operators.
    """

    def __init__(
        self,
        greeting: Greeting,
        dispatcher: Dispatcher,
        memory: BodyMemory,
        *,
        times: Times = USUAL_TIMES,
        registry: Registry | None = None,
        answer: Answer | None = None,
    ) -> None:
        self._greeting = greeting
        self._dispatcher = dispatcher
        self._memory = memory
        self._times = times
        self._registry = registry or Registry()
        self._answer = answer
        self._links: set[PeerLink] = set()
        self._ungreeted: dict[PeerProtocol, float] = {}
        self._places = PeerPlaces(dispatcher)
        self._dials = Dials(partial(self._protocol, True), self._retire)
        self._changed = False
        self._told_s = 0.0
        self._closing = False
        self._server: asyncio.Server | None = None
        self._telling: asyncio.Task[None] | None = None

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
            self._dials.add(address)
        self._telling = loop.create_task(self._keep_telling())

    def dial_hub(self, addresses: tuple[str, ...], context: ssl.SSLContext) -> None:
        """Keeps the hub connected, with TLS.

        Args:
            addresses: Where it is, as `host:port`.
            context: Shows the certificate of this box.
        """
        for address in addresses:
            self._dials.add(address, context, wants_hub=True)

    def follow_upstreams(self, addresses: tuple[str, ...], context: ssl.SSLContext) -> None:
        """Keeps these boxes connected, beside the hub, until it is told others.

        Calls that are under way over a link that is not wanted any more are answered first.

        Args:
            addresses: All of them, as `host:port`.
            context: Shows the certificate of this box.
        """
        self._dials.follow(addresses, context)

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
        return self._places.reports()

    def asks_of(self, box: str) -> PeerAsks | None:
        """Returns how to ask a box; None: no link to it is up here."""
        link = self._places.link_to(box)
        return link.asks if link is not None else None

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
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._dials.aclose()
        for protocol in (*self._ungreeted, *(link.protocol for link in self._links)):
            protocol.abort("the gateway stops")

    def accept(self) -> PeerProtocol:
        """Returns the protocol of a connection that a peer made."""
        protocol = self._protocol(dialled=False)
        if len(self._links) + len(self._ungreeted) > _MAX_ACCEPTED:
            loop = asyncio.get_running_loop()
            loop.call_soon(protocol.abort, f"there are {_MAX_ACCEPTED} links already")
        return protocol

    def _protocol(self, dialled: bool, wants_hub: bool = False) -> PeerProtocol:
        protocol = PeerProtocol(self._greeting, self._greeted, dialled=dialled, wants_hub=wants_hub)
        self._ungreeted[protocol] = time.monotonic()
        protocol.closed.add_done_callback(partial(self._not_greeted, protocol))
        return protocol

    def _not_greeted(self, protocol: PeerProtocol, closed: asyncio.Future[str]) -> None:
        if self._ungreeted.pop(protocol, None) is not None and protocol.identity is not None:
            _LOG.warning("no link with box %s: %s", protocol.identity.name, closed.result())

    def _greeted(self, protocol: PeerProtocol, greeting: Greeting) -> None:
        self._check(protocol, greeting)
        self._ungreeted.pop(protocol, None)
        here, peer = self._greeting.box, greeting.box
        from_hub = protocol.identity is not None and protocol.identity.is_hub
        write = protocol.write
        link = PeerLink(
            protocol,
            greeting,
            control=self._dispatcher.flights,
            owner=self._places,
            calls=PeerCalls(self._dispatcher, self._memory, write, here=here, peer=peer),
            asks=PeerAsks(peer, write, self._answer if from_hub else None),
            prober=Prober(time.monotonic()),
            here=here,
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
        self._places.lost(link)
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
        for link in self._places.active():
            link.probe_if_due(now_s)
        if self._changed or now_s - self._told_s >= self._times.summary_s:
            self._changed, self._told_s = False, now_s
            self._summarise(*self._links)

    def _summarise(self, *links: PeerLink) -> None:
        if not links or self._closing:
            return
        functions = offered_by(self._dispatcher)
        relays = Relays(lacking(self._dispatcher), self._places.reached(_has_dialled))
        routes = (function.route for function in self._dispatcher.functions.values())
        reserves = reserves_of(routes, self._greeting, self._places.reached(lambda link: True))
        for link in links:
            if not link.retired:
                box = link.greeting.box
                told = relays.offered_to(box) if _has_dialled(link) else ()
                link.summarise(Summary(functions, told, reserves.get(box, {})))

    async def _retire(self, protocol: PeerProtocol) -> None:
        """Lets a link answer what it has, and nothing more."""
        link = next((one for one in self._links if one.protocol is protocol), None)
        if link is None:
            return
        link.retired = True
        self._places.retire(link)
        link.summarise(Summary())
        busy_s = time.monotonic()
        until_s = busy_s + _RETIRE_S
        while not protocol.closed.done() and (now_s := time.monotonic()) < until_s:
            if link.under_way or len(link.calls):
                busy_s = now_s
            if now_s - busy_s > _QUIET_S:
                return
            await asyncio.sleep(_TICK_S)

    def _end_silent(self, now_s: float) -> None:
        for protocol, since_s in tuple(self._ungreeted.items()):
            if now_s - since_s > _GREET_S:
                protocol.abort("it did not greet in time")
        silence_s = self._times.silence_s
        for link in tuple(self._links):
            if now_s - link.protocol.heard_s > silence_s:
                link.protocol.abort(f"nothing was heard of it for {silence_s:g} s")


def _has_dialled(link: PeerLink) -> bool:
    """Whether the peer made the connection: those who dial this box may not reach each other."""
    return not link.protocol.dialled
