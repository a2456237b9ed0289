"""One connection between the gateways of two boxes, whoever dialled it."""

import time
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from edgefn.errors import EdgefnError, ErrorBody, ProtocolError, ReplicaLost
from edgefn.gateway.flight import Control, Flight
from edgefn.gateway.peer_asks import PeerAsks
from edgefn.gateway.peer_calls import PeerCalls
from edgefn.gateway.peer_protocol import PeerProtocol
from edgefn.gateway.peer_wire import (
    Echo,
    Greeting,
    PeerAnswered,
    PeerAsk,
    PeerFrame,
    PeerHead,
    Probe,
    Summary,
    encode_echo,
    encode_probe,
    encode_summary,
)
from edgefn.gateway.prober import Prober
from edgefn_runtime.frames import call_frame, encode_cancel
from edgefn_runtime.wire import Call, Cancel, Outcome, Reply

_MAX_FORGOTTEN: Final = 64  # whose answers may still come
# What a peer says that cannot answer a call, and did not begin to: another place may.
_NOT_TAKEN: Final = frozenset({"unknown_function", "unknown_variant", "unavailable"})
_BODY: Final = msgspec.msgpack.Decoder(ErrorBody)
_HEAD: Final = msgspec.msgpack.Encoder()


class PeerLinkOwner(Protocol):
    """Who is told what comes over a link, beside answers."""

    def digest_of(self, function: str) -> str:
        """Returns the digest of the bundle that is called by this name, or nothing."""

    def summarised(self, link: "PeerLink", summary: Summary) -> None:
        """The peer said what it serves."""

    def not_taken(self, link: "PeerLink", endpoint: str) -> None:
        """The peer does not serve an endpoint, whatever its last summary said."""

    def probe_sent(self, link: "PeerLink") -> None:
        """A probe has left."""

    def probe_answered(self, link: "PeerLink", took_s: float, size_bytes: int) -> None:
        """It has come back."""


class PeerLink:
    """Carries calls to a peer, and those that it sends here.

    Args:
        protocol: The connection, on which the peer has greeted.
        greeting: Of the peer.
        control: Told what becomes of flights.
        owner: Told all else.
        calls: Answers what the peer calls.
        asks: Of operators, in both directions.
        prober: Says when to probe.
        here: Name of this box.

    Attributes:
        protocol: The connection.
        greeting: Of the peer.
        calls: Of the peer, under way here.
        asks: Of operators, in both directions.
        summary: The last one that came.
        retired: Whether it takes no new calls any more.
    """

    def __init__(
        self,
        protocol: PeerProtocol,
        greeting: Greeting,
        *,
        control: Control,
        owner: PeerLinkOwner,
        calls: PeerCalls,
        asks: PeerAsks,
        prober: Prober,
        here: str,
    ) -> None:
        self.protocol = protocol
        self.greeting = greeting
        self.calls = calls
        self.asks = asks
        self.summary = Summary()
        self.retired = False
        self._here = here
        self._control = control
        self._owner = owner
        self._prober = prober
        self._flights: dict[int, Flight] = {}
        self._forgotten: dict[int, Flight] = {}
        self._last_id = 0
        protocol.on_frame = self._take

    def send(self, flight: Flight, now_s: float) -> None:
        """Sends a call.

        Raises:
            ProtocolError: It does not fit a frame.
        """
        # Ids repeat after four thousand million calls; no call is unanswered for as long.
        self._last_id = (self._last_id + 1) & 0xFFFFFFFF
        flight.id = self._last_id
        self.protocol.send(flight.id, self._frame(flight, now_s))
        self._flights[flight.id] = flight

    def forget(self, flight: Flight) -> bool:
        """Stops waiting for a call, and tells the peer so; returns False if it was not its."""
        if self._flights.get(flight.id) is not flight:
            return False
        del self._flights[flight.id]
        if not self.protocol.take_back(flight.id):
            self.protocol.write(encode_cancel(flight.id))
            self._forgotten[flight.id] = flight
            if len(self._forgotten) > _MAX_FORGOTTEN:
                del self._forgotten[next(iter(self._forgotten))]
        return True

    @property
    def under_way(self) -> int:
        """How many calls that were sent to the peer are not answered."""
        return len(self._flights)

    def summarise(self, summary: Summary) -> None:
        """Tells the peer what is served here."""
        self.protocol.write(encode_summary(summary))

    def probe_if_due(self, now_s: float) -> None:
        """Probes, if nothing was measured for a while."""
        probe = self._prober.due(now_s)
        if probe is not None:
            self.protocol.write(encode_probe(probe))
            self._owner.probe_sent(self)

    def take_lost(self) -> Iterator[tuple[Flight, bool]]:
        """Yields all flights of a connection that was lost, and whether each never left."""
        flights, self._flights = self._flights, {}
        self._forgotten.clear()
        self.calls.close()
        self.asks.close()
        for flight in flights.values():
            yield flight, self.protocol.take_back(flight.id)

    def _take(self, frame: PeerFrame) -> None:
        match frame:
            case Reply():
                self._replied(frame)
            case Call():
                self.calls.take(frame)
            case Cancel():
                self.calls.cancel(frame.id)
            case Probe():
                self.protocol.write(encode_echo(Echo(frame.id)))
            case Echo():
                answered = self._prober.answered(time.monotonic(), frame.id)
                if answered is not None:
                    self._owner.probe_answered(self, *answered)
            case Summary():
                self.summary = frame
                self._owner.summarised(self, frame)
            case PeerAsk():
                self.asks.take(frame)
            case PeerAnswered():
                self.asks.answered(frame)
            case _:
                raise ProtocolError(f"a {type(frame).__name__.lower()} is not for here")

    def _replied(self, reply: Reply) -> None:
        flight = self._flights.pop(reply.id, None) or self._forgotten.pop(reply.id, None)
        if flight is None:
            return
        self._prober.measured(time.monotonic())
        lost = _loss(reply, self.greeting.box) if reply.outcome == Outcome.ERROR else None
        if lost is None:
            self._control.replied(flight, reply)
            return
        error, unsent = lost
        if unsent:
            self._owner.not_taken(self, flight.send.endpoint)
        if not flight.abandoned:
            self._control.lost(flight, error, unsent=unsent)

    def _frame(self, flight: Flight, now_s: float) -> bytes:
        call = flight.call
        head = PeerHead(
            function=call.function,
            variant=flight.send.variant,
            digest=self._owner.digest_of(call.function),
            via=(*call.via, self._here),
            priority=call.priority,
            idempotent=call.idempotent,
            request_id=call.request_id,
            traceparent=call.traceparent,
            head=call.head,
        )
        return call_frame(
            flight.id,
            call.content,
            call.accept,
            call.aux,
            # The peer counts from when it gets the call, and its answer has to come back: what
            # both ways take, as far as it is known, is no time to run in.
            call.budget_us(now_s + flight.send.network_s),
            _HEAD.encode(head),
            call.body,
        )


def _loss(reply: Reply, box: str) -> tuple[EdgefnError, bool] | None:
    """Returns why a reply is none, and whether the call never began; None if it is an answer."""
    try:
        body = _BODY.decode(reply.body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"an error that cannot be read: {error}") from error
    if body.code == ReplicaLost.code:
        return ReplicaLost(f"at box {box}: {body.message}"), False
    if body.code in _NOT_TAKEN and reply.batch == 0:
        return ReplicaLost(f"box {box} did not take the call: {body.message}"), True
    return None
