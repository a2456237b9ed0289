"""One connection to a replica: frames out, frames in, and nothing of what they mean."""

import asyncio
from collections.abc import Callable

from edgefn.errors import ProtocolError
from edgefn.gateway.frame_stream import FrameStream
from edgefn_runtime.frames import FrameReader
from edgefn_runtime.wire import Hello, Reply


class ReplicaProtocol(FrameStream):
    """Speaks the wire protocol over one connection, once.

    Args:
        on_reply: Told of each reply.

    Attributes:
        greeted: Becomes the hello of the replica, or the reason why there is none.
    """

    def __init__(self, on_reply: Callable[[Reply], None]) -> None:
        super().__init__()
        self._on_reply = on_reply
        self._reader = FrameReader()
        self.greeted: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

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
        super().connection_lost(exc)
        if not self.greeted.done():
            self.greeted.set_exception(ProtocolError(self.closed.result()))
            self.greeted.exception()  # whoever waited may be gone

    def _greet(self, frame: object) -> None:
        if not isinstance(frame, Hello) or self.greeted.done():
            raise ProtocolError(f"a {type(frame).__name__.lower()} is not for a gateway")
        self.greeted.set_result(frame)
