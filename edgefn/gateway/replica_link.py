"""The way to one replica: keeps a connection to it, and knows which calls it holds."""

import asyncio
import time
from typing import Final, Protocol

from edgefn.errors import EdgefnError, ProtocolError, ReplicaLost, TimedOut
from edgefn.gateway.control import ReplicaRoute
from edgefn.gateway.flight import Control, Flight
from edgefn.gateway.replica_protocol import ReplicaProtocol
from edgefn_runtime.frames import encode_cancel
from edgefn_runtime.wire import Reply

_CONNECT_TIMEOUT_S: Final = 2.0
_BACKOFF_S: Final = 0.05  # doubled after each failure
_MAX_BACKOFF_S: Final = 1.0
_MANY_FAILURES: Final = 3
_MAX_ABANDONED: Final = 256  # a call that was cancelled before it ran is never answered


class LinkOwner(Protocol):
    """Who is told what happens on a link."""

    def link_up(self, link: "ReplicaLink") -> None:
        """The replica takes calls."""

    def link_down(self, link: "ReplicaLink", why: str) -> None:
        """The replica takes no calls. That those which it held are lost is told next."""

    def suspect(self, link: "ReplicaLink", why: str) -> None:
        """The replica cannot be reached."""


class ReplicaLink:
    """Keeps one replica connected until it is retired.

    Attributes:
        route: Where the replica is.
        function: Whose calls it takes.
        revision: Of that function.
        flights: Sent, or about to be, and not answered, by id.
    """

    def __init__(
        self, route: ReplicaRoute, function: str, revision: int, owner: LinkOwner, control: Control
    ) -> None:
        self.route = route
        self.function = function
        self.revision = revision
        self.flights: dict[int, Flight] = {}
        self._abandoned: dict[int, Flight] = {}
        self._owner = owner
        self._control = control
        self._protocol: ReplicaProtocol | None = None
        self._retired = False
        self._last_id = 0

    async def run(self) -> None:
        """Connects, and connects again when the connection is lost, until retired."""
        failures = 0
        while not self._retired:
            try:
                protocol = await self._connect()
            except (OSError, TimeoutError, ProtocolError) as error:
                failures += 1
                if failures == _MANY_FAILURES and not self._retired:
                    self._owner.suspect(self, f"it cannot be connected: {error!r}")
            else:
                failures = 0
                await self._stay_connected(protocol)
            if not self._retired:
                await asyncio.sleep(min(_MAX_BACKOFF_S, _BACKOFF_S * 2 ** min(failures, 10)))

    def send(self, flight: Flight, now_s: float) -> None:
        """Sends a call. The link must be up.

        Raises:
            ProtocolError: The call does not fit a frame.
        """
        assert self._protocol is not None
        # Ids repeat after four thousand million calls; no call is unanswered for as long.
        flight_id = flight.id = self._last_id = (self._last_id + 1) & 0xFFFFFFFF
        way_back_s = 0.5 * flight.send.network_s
        self._protocol.send(flight_id, flight.call.frame(flight_id, now_s, way_back_s))
        self.flights[flight_id] = flight

    def forget(self, flight: Flight) -> None:
        """Stops waiting for an answer, and tells the replica so."""
        if self.flights.pop(flight.id, None) is None or self._protocol is None:
            return
        if not self._protocol.take_back(flight.id):
            self._protocol.write(encode_cancel(flight.id))
            if len(self._abandoned) >= _MAX_ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]
            self._abandoned[flight.id] = flight
        self._close_if_done()

    def oldest(self) -> Flight | None:
        """Returns the flight that was sent before all others that are not answered."""
        return next(iter(self.flights.values()), None)

    def retire(self) -> None:
        """Ends the link after the calls that it holds."""
        self._retired = True
        self._close_if_done()

    def abort(self) -> None:
        """Ends the link at once."""
        self._retired = True
        if self._protocol is not None:
            self._protocol.abort("the gateway stops")

    async def _connect(self) -> ReplicaProtocol:
        loop = asyncio.get_running_loop()
        protocol = ReplicaProtocol(self._replied)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.create_unix_connection(lambda: protocol, self.route.socket)
                hello = await protocol.greeted
            if hello.replica != self.route.replica:
                raise ProtocolError(f"{hello.replica} answers where it should listen")
        except BaseException:
            protocol.abort("it was not connected in time")
            raise
        return protocol

    async def _stay_connected(self, protocol: ReplicaProtocol) -> None:
        if self._retired:
            protocol.close()
            return
        self._protocol = protocol
        protocol.closed.add_done_callback(self._lost)
        self._owner.link_up(self)
        await asyncio.shield(protocol.closed)

    def _lost(self, closed: asyncio.Future[str]) -> None:
        protocol, self._protocol = self._protocol, None
        assert protocol is not None
        why = closed.result()
        flights, self.flights = self.flights, {}
        self._abandoned.clear()
        self._owner.link_down(self, why)
        now_s = time.monotonic()
        for flight in flights.values():
            unsent = protocol.take_back(flight.id)
            self._control.lost(flight, _lost_error(flight, why, now_s), unsent=unsent)

    def _replied(self, reply: Reply) -> None:
        flight = self.flights.pop(reply.id, None) or self._abandoned.pop(reply.id, None)
        if flight is not None:
            self._control.replied(flight, reply)
        if self._retired:
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self.flights and self._protocol is not None:
            self._protocol.close()

    @property
    def retired(self) -> bool:
        """Whether the replica is no longer in the routing table."""
        return self._retired


def _lost_error(flight: Flight, why: str, now_s: float) -> EdgefnError:
    call = flight.call
    if now_s - flight.send.sent_s >= call.timeout_s:  # the box kills what runs for longer
        return TimedOut(
            f"a run of {call.function!r} took longer than the {call.timeout_s:g} s that it may, "
            "and the replica that held the call was ended"
        )
    return ReplicaLost(
        f"the replica that held the call was lost before it answered: {why}. Another one takes "
        "its place"
    )
