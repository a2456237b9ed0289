"""One connection to a replica: frames out, frames in, and nothing of what they mean."""

import asyncio
from collections.abc import Callable
from typing import cast

from edgefn.errors import ProtocolError
from edgefn_runtime.wire import FrameReader, Hello, Reply


class ReplicaProtocol(asyncio.Protocol):
    """Speaks the wire protocol over one connection, once.

    uvloop joins the frames that are written in one turn of the loop. While the replica does not
    read, frames are kept here, where their owner can take them back.

    Args:
        on_reply: Told of each reply.

    Attributes:
        greeted: Becomes the hello of the replica, or the reason why there is none.
        closed: Becomes why the connection ended.
    """

    def __init__(self, on_reply: Callable[[Reply], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_reply = on_reply
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._unsent: dict[int, bytes] = {}
        self._paused = False
        self._why = ""
        self.greeted: asyncio.Future[Hello] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Takes frames; called by the loop."""
        try:
            frames = self._reader.feed(data)
            for frame in frames:
                if type(frame) is Reply:
                    self._on_reply(frame)
                else:
                    self._greet(frame)
        except ProtocolError as error:
            self.abort(f"it sent what is no frame: {error.message}")

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        why = self._why or (f"its connection broke: {exc}" if exc else "it closed its connection")
        self._transport = None
        if not self.greeted.done():
            self.greeted.set_exception(ProtocolError(why))
            self.greeted.exception()  # whoever waited may be gone
        if not self.closed.done():
            self.closed.set_result(why)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._paused = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._paused = False
        while self._unsent and not self._paused and self._transport is not None:
            call_id = next(iter(self._unsent))
            self._transport.write(self._unsent.pop(call_id))

    def send(self, call_id: int, frame: bytes) -> None:
        """Sends the frame of a call, or keeps it until the replica reads again."""
        if self._transport is None or self._paused:
            self._unsent[call_id] = frame
        else:
            self._transport.write(frame)

    def take_back(self, call_id: int) -> bool:
        """Takes a frame back; returns False if it was written already."""
        return self._unsent.pop(call_id, None) is not None

    def write(self, frame: bytes) -> None:
        """Writes a frame that belongs to no call, after those that were written."""
        if self._transport is not None:
            self._transport.write(frame)

    def close(self) -> None:
        """Closes the connection after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Closes the connection at once."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def _greet(self, frame: object) -> None:
        if not isinstance(frame, Hello) or self.greeted.done():
            raise ProtocolError(f"a {type(frame).__name__.lower()} is not for a gateway")
        self.greeted.set_result(frame)
