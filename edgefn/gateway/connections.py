"""All connections of a gateway: how many there may be, and how they end."""

import asyncio
import time
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from edgefn.access.identity import Identity
from edgefn.errors import ConfigError
from edgefn.gateway.connection import Connection
from edgefn.gateway.control import GatewayConfig
from edgefn.gateway.errors import TooManyConnections
from edgefn.gateway.front import Front
from edgefn.gateway.http_bytes import raw_error
from edgefn.gateway.request_id import make_request_id

_SWEEP_S: Final = 0.25
_MAX_REFUSALS: Final = 128  # refused connections that are given the time to read why
_REFUSAL_S: Final = 1.0
_LINGER_S: Final = 1.0


class Connections:
    """The open connections, within the limits of a gateway's configuration.

    Attributes:
        draining: Each answer is the last of its connection.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._open: set[Connection] = set()
        self._refusals = 0
        self._turn_s = 0.0
        self._read: Connection | None = None
        self.draining = False

    def __len__(self) -> int:
        return len(self._open)

    def remove(self, connection: Connection) -> None:
        """Forgets a connection."""
        self._open.discard(connection)
        if connection is self._read:
            self._read = None

    def secure_protocol(self, server: "Server", identity: Identity | None) -> asyncio.Protocol:
        """Returns the protocol of a new connection with TLS, as `protocol` does.

        Args:
            server: Of the connection.
            identity: Who shows a certificate on it, if anyone does.
        """
        protocol = self.protocol(server)
        if isinstance(protocol, Connection):
            protocol.is_secure, protocol.identity = True, identity
        return protocol

    def protocol(self, server: "Server") -> asyncio.Protocol:
        """Returns the protocol of a new connection; beyond the limit, one that refuses it."""
        if len(self._open) >= self._config.max_connections:
            return _Refusal(self)
        connection = server()
        self._open.add(connection)  # now: many are accepted before the first is made
        return connection

    def read_together(self, connection: Connection, turn_s: float) -> bool:
        """Whether another connection was read in the same turn of the loop before.

        Args:
            connection: That is read now. A lone one can be read again in the same millisecond.
            turn_s: The loop's time, which uvloop sets once a turn, to a millisecond.
        """
        together = turn_s == self._turn_s and connection is not self._read
        self._turn_s, self._read = turn_s, connection
        return together

    def sweep(self, now_s: float) -> None:
        """Ends what has waited for too long."""
        header_timeout_s = self._config.header_timeout_s
        body_timeout_s = self._config.body_timeout_s
        for connection in tuple(self._open):
            connection.check(now_s, header_timeout_s, body_timeout_s)

    async def keep_swept(self) -> None:
        """Sweeps until it is cancelled."""
        period_s = min(_SWEEP_S, self._config.header_timeout_s / 4)
        while True:
            await asyncio.sleep(period_s)
            self.sweep(time.monotonic())

    def close_quiet(self, now_s: float, quiet_s: float) -> None:
        """Closes connections on which nothing was asked for so long."""
        for connection in tuple(self._open):
            connection.close_if_quiet(now_s, quiet_s)

    def refusal_began(self) -> bool:
        """Counts a refused connection; returns whether it may stay until its reason is read."""
        self._refusals += 1
        return self._refusals <= _MAX_REFUSALS

    def refusal_ended(self) -> None:
        """Forgets a refused connection."""
        self._refusals -= 1


class Server(web.Server):
    """aiohttp's low-level server, with our connections.

    Raises:
        ConfigError: aiohttp came without its parser in C.
    """

    def __init__(self, front: Front, connections: Connections, config: GatewayConfig) -> None:
        if HttpRequestParser is HttpRequestParserPy:
            raise ConfigError(
                "aiohttp runs without its C parser, which is slow and accepts more; unset "
                "AIOHTTP_NO_EXTENSIONS and install a wheel of aiohttp"
            )
        super().__init__(cast(Any, front), handler_cancellation=True)
        self._front = front
        self._limited = connections
        self._options = {
            "keepalive_timeout": config.idle_timeout_s,
            "access_log": None,
            "auto_decompress": False,
            "lingering_time": _LINGER_S,
        }

    def __call__(self) -> Connection:
        """Returns the protocol of one connection."""
        return Connection(self, self._limited, self._front, **self._options)


class _Refusal(asyncio.Protocol):
    """A connection too many: says so, and hangs up."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        if not self._connections.refusal_began():
            stream.abort()
            return
        error = TooManyConnections(
            "the gateway holds as many connections as it may; keep connections open and reuse them"
        )
        stream.write(raw_error(error.body(), make_request_id()))
        if stream.can_write_eof():
            stream.write_eof()
        self._timer = asyncio.get_running_loop().call_later(_REFUSAL_S, stream.abort)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.refusal_ended()
        if self._timer is not None:
            self._timer.cancel()
