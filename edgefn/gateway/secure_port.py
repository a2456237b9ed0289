"""The port with TLS, on which callers and peers arrive: ALPN says which of the two one is.

A handshake costs memory and a millisecond of processor before anything is known of who asks. So the
plain connection is taken first, and one too many is dropped before its handshake begins.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, cast

from edgefn.access.identity import Identity, identity_of
from edgefn.access.tls import PEER_PROTOCOL

MAX_HANDSHAKES: Final = 64
HANDSHAKE_TIMEOUT_S: Final = 5.0

_LOG = logging.getLogger(__name__)


class SecurePort:
    """Takes connections, and hands each to its protocol after the handshake.

    Args:
        context: Of TLS.
        http: Returns the protocol of a caller; told who shows a certificate, if anyone does.
        peer: Returns the protocol of a peer; None: there are no peers.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        http: Callable[[Identity | None], asyncio.Protocol],
        peer: Callable[[], asyncio.Protocol] | None,
    ) -> None:
        self._context = context
        self._http = http
        self._peer = peer
        self._handshakes: set[asyncio.Task[None]] = set()

    def protocol(self) -> asyncio.Protocol:
        """Returns the protocol of a new connection."""
        return _Arrival(self)

    def close(self) -> None:
        """Ends the handshakes that are under way."""
        for task in tuple(self._handshakes):
            task.cancel()

    def arrived(self, arrival: "_Arrival", transport: asyncio.Transport) -> None:
        """Starts the handshake of a connection, or drops it if there are too many."""
        if len(self._handshakes) >= MAX_HANDSHAKES:
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._shake(arrival, transport))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake(self, arrival: "_Arrival", transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                arrival,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            _LOG.debug("no TLS with %s: %s", transport.get_extra_info("peername"), error)
            transport.abort()
            return
        except asyncio.CancelledError:
            transport.abort()
            raise
        if secured is not None and not arrival.is_lost:
            self._hand_on(arrival, secured)

    def _hand_on(self, arrival: "_Arrival", secured: asyncio.Transport) -> None:
        stream = cast(ssl.SSLObject, secured.get_extra_info("ssl_object"))
        identity = identity_of(stream.getpeercert())
        if stream.selected_alpn_protocol() != PEER_PROTOCOL:
            protocol = self._http(identity)
        elif self._peer is None or identity is None or identity.kind != "box":
            secured.abort()
            return
        else:
            protocol = self._peer()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        arrival.hand_over(protocol)


class _Arrival(asyncio.Protocol):
    """A connection of which nothing is known yet; keeps what comes right behind the handshake."""

    def __init__(self, port: SecurePort) -> None:
        self._port = port
        self._early: list[bytes] = []
        self._ended = False
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.pause_reading()  # until TLS reads it
        self._port.arrived(self, stream)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def eof_received(self) -> bool:
        self._ended = True
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.is_lost = True

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Gives the real protocol what came before it was there."""
        for data in self._early:
            protocol.data_received(data)
        if self._ended:
            protocol.eof_received()
