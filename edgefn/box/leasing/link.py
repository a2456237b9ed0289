"""One connection to the lease socket: a lease, or somebody who watches the fleet."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from edgefn.box.leasing.desk import Claim, LeaseDesk
from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.leasing import (
    CheckLease,
    FromBox,
    GiveBack,
    GivenBack,
    Joined,
    LeaseRefused,
    LeaseTaken,
    TakeLease,
    ToBox,
    Watch,
    encode,
)
from edgefn_runtime.lifecycle import MessageReader

MAX_UNREAD_BYTES: Final = 256 * 1024  # of answers: who asks without reading is not read from

_log = logging.getLogger(__name__)


class LeaseLink(asyncio.Protocol):
    """Speaks the lease protocol.

    What a holder says is acted on as it arrives, so that a lease that was given back right before
    the end of its holder is given back, not lost.

    Args:
        desk: Where leases are had.
        on_watch: Called when the holder wants to watch the fleet.
        on_joined: Called with what a watcher tells.
        on_lost: Called at the end of the connection.

    Attributes:
        writable: Set unless the other end does not read.
    """

    def __init__(
        self,
        desk: LeaseDesk,
        *,
        on_watch: Callable[["LeaseLink"], None],
        on_joined: Callable[[Joined], None],
        on_lost: Callable[["LeaseLink"], None],
    ) -> None:
        self.writable = asyncio.Event()
        self._desk = desk
        self._on_watch = on_watch
        self._on_joined = on_joined
        self._on_lost = on_lost
        self._reader = MessageReader(ToBox)
        self._transport: asyncio.Transport | None = None
        self._claim: Claim | None = None
        self._is_taken = False
        self._watches = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Acts on what was said; closes on anything that makes no sense."""
        try:
            for message in self._reader.feed(data):
                self._said(message)
        except ProtocolError as error:
            _log.error("a holder of leases is cut off: %s", error)
            self.close()

    def pause_writing(self) -> None:
        """Stops reading from a holder that does not read."""
        self.writable.clear()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Reads again."""
        self.writable.set()
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts the lease as lost, if it was not given back."""
        self._transport = None
        if self._claim is not None:
            self._desk.lose(self._claim)
        self._on_lost(self)

    def send(self, message: FromBox) -> None:
        """Sends a message, unless the other end is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def close(self) -> None:
        """Closes after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def _said(self, message: ToBox) -> None:
        match message:
            case TakeLease() if self._claim is None and not self._watches:
                self._claim = self._desk.take(message, self._answer)
            case CheckLease() if self._claim is not None and self._is_taken:
                self.send(self._desk.check(self._claim))
            case GiveBack() if self._claim is not None:
                self._desk.give_back(self._claim)
                self.send(GivenBack())
                self.close()
            case Watch() if self._claim is None and not self._watches:
                self._watches = True
                self._on_watch(self)
            case Joined() if self._watches:
                self._on_joined(message)
            case _:
                raise ProtocolError(f"{type(message).__name__} is not what could come now")

    def _answer(self, answer: LeaseTaken | LeaseRefused) -> None:
        self._is_taken = isinstance(answer, LeaseTaken)
        self.send(answer)
        if not self._is_taken:
            self.close()
