"""The port with TLS, on which callers and peers arrive: ALPN says which of the two one is.

A handshake costs memory and a millisecond of processor before anything is known of who asks. So
this accepts connections itself: one too many is dropped before its handshake begins.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

from edgefn.access.identity import Identity, identity_of
from edgefn.access.tls import PEER_PROTOCOL

MAX_HANDSHAKES: Final = 128
HANDSHAKE_TIMEOUT_S: Final = 5.0
_GOODBYE_S: Final = 1.0  # of TLS: who is not reading at the moment does not answer it
_ACCEPTED_AT_ONCE: Final = 64
_PAUSE_S: Final = 0.5  # when no descriptor is left

_LOG = logging.getLogger(__name__)


class SecurePort:
    """Takes connections, and hands each to its protocol after the handshake.

    Args:
        listener: Bound and listening.
        context: Of TLS.
        http: Returns the protocol of a caller; told who shows a certificate, if anyone does.
        peer: Returns the protocol of a peer; None: there are no peers.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        http: Callable[[Identity | None], asyncio.Protocol],
        peer: Callable[[], asyncio.Protocol] | None,
    ) -> None:
        self._listener = listener
        self._context = context
        self._http = http
        self._peer = peer
        self._handshakes: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._is_open = False

    def start(self) -> None:
        """Starts to accept."""
        self._listener.setblocking(False)
        self._is_open = True
        self._resume()

    def stop(self) -> None:
        """Accepts no more; handshakes that are under way go on."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._listener)
            if self._resuming is not None:
                self._resuming.cancel()
            self._listener.close()

    def close(self) -> None:
        """Accepts no more, and ends the handshakes that are under way."""
        self.stop()
        for task in tuple(self._handshakes):
            task.cancel()

    def protocol_for(self, stream: ssl.SSLObject) -> asyncio.Protocol | None:
        """Returns the protocol for a connection; None if nobody here would speak with it."""
        identity = identity_of(stream.getpeercert())
        if stream.selected_alpn_protocol() != PEER_PROTOCOL:
            return self._http(identity)
        if self._peer is None or identity is None or identity.kind != "box":
            return None
        return self._peer()

    def _resume(self) -> None:
        self._resuming = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _LOG.error("no connection can be accepted: %s", error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener)
                self._resuming = loop.call_later(_PAUSE_S, self._resume)
                return
            if len(self._handshakes) >= MAX_HANDSHAKES:
                sock.close()
                continue
            task = asyncio.get_running_loop().create_task(self._shake(sock))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Arrival(self),
                sock,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            _LOG.debug("no TLS: %s", error)
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise


class _Arrival(asyncio.Protocol):
    """A connection after its handshake; gives way to the protocol that it is for."""

    def __init__(self, port: SecurePort) -> None:
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        protocol = self._port.protocol_for(stream.get_extra_info("ssl_object"))
        if protocol is None:
            stream.abort()
            return
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
