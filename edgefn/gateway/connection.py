"""One HTTP connection: aiohttp's server protocol, with the limits that it lacks.

aiohttp waits for ever for the rest of a request's head, and for a caller who does not read. Here
each connection notes since when it waits for what, and `Connections` looks at all of them a few
times a second: no timer is started and stopped for each request.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from edgefn.access.caller import NOBODY, Caller
from edgefn.access.identity import Identity
from edgefn.errors import ErrorBody
from edgefn.gateway.answer import error_answer
from edgefn.gateway.arrival import unread_s
from edgefn.gateway.direct_handler import Direct, DirectHandler
from edgefn.gateway.errors import MalformedRequest, RequestTimeout
from edgefn.gateway.http_bytes import raw_error
from edgefn.gateway.request_id import make_request_id
from edgefn.gateway.statuses import Shape

if TYPE_CHECKING:
    from edgefn.gateway.asked import Asked
    from edgefn.gateway.connections import Connections
    from edgefn.gateway.front import Front


def caller_of(request: web.BaseRequest) -> Caller:
    """Returns who a request is from."""
    return cast(Connection, request.protocol).caller


class Connection(DirectHandler):
    """The server protocol of one connection.

    Attributes:
        busy: A request is being handled.
        read_s: When the head of that request had come.
        request_id: That of the request being handled, or empty.
        asked: What the last call on it asked for.
        answered_by: Header lines that say where it was sent and whether that was in time, for the
            answer to it if it fails.
        is_secure: Whether it came over TLS.
        identity: Who holds the certificate that was shown on it, if one was.
        caller: Who the request being handled is from.
    """

    __slots__ = (
        "_connections",
        "_discarding",
        "_front",
        "_head_since_s",
        "_quiet_since_s",
        "_stuck_since_s",
        "_unwritten_bytes",
        "_wire",
        "answered_by",
        "asked",
        "busy",
        "caller",
        "identity",
        "is_secure",
        "read_s",
        "request_id",
    )

    def __init__(
        self, server: web.Server, connections: "Connections", front: "Front", **options: Any
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._connections = connections
        self._front = front
        self._wire: asyncio.Transport | None = None
        self._discarding = False
        self._head_since_s = 0.0  # first byte of a head that is not complete
        self._stuck_since_s = 0.0
        self._unwritten_bytes = 0
        self._quiet_since_s = 0.0
        self.busy = False
        self.read_s = 0.0
        self.request_id = ""
        self.asked: Asked | None = None
        self.answered_by = b""
        self.is_secure = False
        self.identity: Identity | None = None
        self.caller: Caller = NOBODY

    @property
    def draining(self) -> bool:
        """Whether the gateway is about to stop, and each answer is the connection's last."""
        return self._connections.draining

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        self._wire = self.transport
        self._quiet_since_s = time.monotonic()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forgets the connection; called by the loop."""
        super().connection_lost(exc)
        self._wire = None
        self._connections.remove(self)

    def data_received(self, data: bytes) -> None:
        """Takes bytes, and notes when a head began; called by the loop."""
        if self._discarding:
            return
        # aiohttp passes nothing to have its own buffer parsed.
        if data and not self.busy and not self.body_is_coming:
            self.read_s = self._arrived_s()
            if not self._head_since_s:
                self._head_since_s = self.read_s
        super().data_received(data)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Goes on reading; called by aiohttp.

        Also after each body that was read at once and had paused nothing: then this would parse
        nothing, and take a tenth of a small call's time.
        """
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def direct(self, message: RawRequestMessage) -> Direct | None:
        """Returns the call that a request with this head is; None: it is none."""
        return self._front.direct_call(message)

    def begin(self) -> None:
        """Starts handling a request."""
        self.busy = True
        if not self._head_since_s:  # it was read behind the one before
            self.read_s = time.monotonic()
        self._head_since_s = 0.0
        self.request_id = ""
        self.answered_by = b""
        self.caller = NOBODY

    def end(self) -> None:
        """Ends handling a request."""
        self.busy = False
        self._quiet_since_s = time.monotonic()

    def took(self) -> None:
        """Notes that the caller took a part of an answer that is written piece by piece."""
        self._stuck_since_s = 0.0

    def discard_input(self) -> None:
        """Reads whatever else the caller sends, and does not look at it.

        An answer before the end of the body would be lost if the socket were closed at once, since
        the system resets a connection that has unread bytes.
        """
        self._discarding = True

    def check(self, now_s: float, header_timeout_s: float, write_timeout_s: float) -> None:
        """Ends what has waited for too long."""
        wire = self._wire
        if wire is None:
            return
        if self._is_stuck(wire, now_s, write_timeout_s):
            wire.abort()
        elif not wire.is_closing() and self._head_is_late(now_s, header_timeout_s):
            self._refuse_slow_head(wire)

    def close_if_quiet(self, now_s: float, quiet_s: float) -> None:
        """Closes the connection if nothing was asked on it for so long."""
        if self._wire is None or self.busy or self._head_since_s:
            return
        if now_s - self._quiet_since_s > quiet_s:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what aiohttp's parser refused, in the one error shape; called by aiohttp."""
        if status == 400:
            told = (message or "").partition("\n")[0].rstrip(":") or "it cannot be parsed"
            body = MalformedRequest(f"the request is not valid HTTP: {told}").body()
        else:
            body = ErrorBody("internal", "")
        answer = error_answer(body, make_request_id(), Shape.JSON, close=True)
        return cast(web.StreamResponse, answer)

    def _arrived_s(self) -> float:
        """Returns when what is read now came.

        The first connection that is read in a turn of the loop is mostly the one that it waited
        for. If there are more, the loop was busy, and it is worth asking.
        """
        now_s = time.monotonic()
        if self._wire is None or not self._connections.read_together(self, self._loop.time()):
            return now_s
        arrived_s = now_s - unread_s(self._wire.get_extra_info("socket"))
        return max(arrived_s, self._quiet_since_s)

    def _is_stuck(self, wire: asyncio.Transport, now_s: float, timeout_s: float) -> bool:
        """Whether the caller has taken nothing of what is written for too long."""
        unwritten_bytes = wire.get_write_buffer_size()
        if unwritten_bytes < self._unwritten_bytes or not (unwritten_bytes or wire.is_closing()):
            self._stuck_since_s = 0.0
        self._unwritten_bytes = unwritten_bytes
        if not (unwritten_bytes or wire.is_closing()):
            return False
        self._stuck_since_s = self._stuck_since_s or now_s
        return now_s - self._stuck_since_s > timeout_s

    def _head_is_late(self, now_s: float, timeout_s: float) -> bool:
        since_s = self._head_since_s
        return bool(since_s) and not self.busy and now_s - since_s > timeout_s

    def _refuse_slow_head(self, wire: asyncio.Transport) -> None:
        error = RequestTimeout("the request's head did not come in time").body()
        wire.write(raw_error(error, make_request_id()))
        self.force_close()
