"""One gateway's connection to a replica."""

import asyncio
import logging
from typing import Final, Protocol, cast

from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.frames import FrameReader
from edgefn_runtime.queue import Waiting
from edgefn_runtime.wire import Call, Frame

# A gateway that does not read is not read from either; and one that still has so much to read when
# more is to be said will never read it.
WRITE_HIGH_BYTES: Final = 1024 * 1024
MAX_UNREAD_BYTES: Final = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class Server(Protocol):
    """What a connection asks of the server that it belongs to."""

    hello: bytes

    def opened(self, connection: "Connection") -> None:
        """A gateway connected."""

    def received(self, connection: "Connection", frames: list[Frame]) -> None:
        """Frames came; raises ProtocolError for those that a gateway does not send."""

    def closed(self, connection: "Connection") -> None:
        """The connection is gone; its calls are to be forgotten."""


class Connection(asyncio.Protocol):
    """Cuts what a gateway sends into frames, and sends answers once in a turn of the loop.

    Attributes:
        calls: The calls of this connection that are not answered yet, by their id.
    """

    def __init__(self, server: Server) -> None:
        self.calls: dict[int, Waiting[tuple[Connection, Call]]] = {}
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says who the replica is."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._transport.write(self._server.hello)
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hands over the frames that are complete; closes on anything that is none."""
        try:
            self._server.received(self, self._reader.feed(data))
        except ProtocolError as error:
            self._abort(f"a gateway sent what is no frame of ours: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the calls, since no one is there to be answered."""
        self._transport = None
        self._unsent.clear()
        self._server.closed(self)

    def pause_writing(self) -> None:
        """Stops reading from a gateway that does not read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def send(self, frame: bytes) -> None:
        """Keeps a frame until `flush`; frames for a gateway that is gone are dropped."""
        if self._transport is not None:
            self._unsent.append(frame)

    def flush(self) -> None:
        """Sends what was kept, in one write."""
        if self._transport is None or not self._unsent:
            return
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._abort("a gateway does not read its answers")
            return
        self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
        self._unsent.clear()

    def is_quiet(self) -> bool:
        """Whether no call is unanswered and no answer unsent."""
        if self._transport is None:
            return True
        return not (self.calls or self._unsent or self._transport.get_write_buffer_size())

    def close(self) -> None:
        """Closes after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def _abort(self, reason: str) -> None:
        _log.error("connection closed: %s", reason)
        if self._transport is not None:
            self._transport.abort()
