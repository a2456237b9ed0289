"""The gateway's end of the control socket: what the box says, and what it is asked."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from edgefn.errors import ProtocolError
from edgefn.gateway.control import (
    Answered,
    Ask,
    FromBox,
    FromGateway,
    ToGateway,
    most_asks,
)
from edgefn.gateway.errors import Unavailable
from edgefn_runtime.lifecycle import MessageReader, pack

_CLOSE_TIMEOUT_S: Final = 1.0
_MAX_UNREAD_BYTES: Final = 1024 * 1024


class BoxLink(asyncio.Protocol):
    """Speaks with the box.

    Args:
        on_message: Told all that is no answer.
        on_lost: Told when the box is gone.
    """

    def __init__(
        self,
        *,
        on_message: Callable[[FromBox], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = MessageReader(ToGateway)
        self._transport: asyncio.Transport | None = None
        self._asks: dict[int, asyncio.Future[Answered]] = {}
        self._closed = asyncio.Event()
        self._last_ask = 0
        self._busy: Counter[int] = Counter()  # with how many of each kind of ask

    async def connect(self, control: socket.socket) -> None:
        """Starts to speak over an inherited socket."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=control)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Takes messages; called by the loop."""
        try:
            messages = self._reader.feed(data)
        except ProtocolError as error:
            self._on_lost(error.message)
            return
        for message in messages:
            if isinstance(message, Answered):
                waiting = self._asks.pop(message.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            else:
                self._on_message(message)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        self._transport = None
        self._closed.set()
        self._on_lost("the control socket was closed")

    async def aclose(self) -> None:
        """Closes the socket after what was told has left."""
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._closed.wait()

    def congested(self) -> bool:
        """Whether the box has not read what it was told before."""
        transport = self._transport
        return transport is None or transport.get_write_buffer_size() > _MAX_UNREAD_BYTES

    def tell(self, message: FromGateway) -> None:
        """Sends a message."""
        if self._transport is not None:
            self._transport.write(pack(message))

    async def ask(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes,
        timeout_s: float,
        caller: str = "",
        name: str = "",
    ) -> Answered:
        """Returns the box's answer to a request of an operator, or of a box of the fleet.

        Raises:
            Unavailable: The box has too much to answer, or does not in time.
        """
        most = most_asks(path)
        if self._busy[most] >= most:
            raise Unavailable(f"the box has {most} requests to answer already; try again")
        self._busy[most] += 1
        self._last_ask += 1
        number = self._last_ask
        answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._asks[number] = answered
        self.tell(Ask(number, method, path, query, body, caller, name))
        try:
            async with asyncio.timeout(timeout_s):
                return await answered
        except TimeoutError as error:
            raise Unavailable(
                f"the box did not answer {method} {path} within {timeout_s:g} s; what was asked "
                "may still happen: see `edgefn status`"
            ) from error
        finally:
            self._busy[most] -= 1
            self._asks.pop(number, None)
