"""The box's end of the control socket of one gateway."""

import asyncio
from collections.abc import Callable
from typing import Any

from edgefn.access.table import AccessTable
from edgefn.gateway.control import (
    Answered,
    Ask,
    FromGateway,
    Routes,
    StopAccepting,
    Upstreams,
)
from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.lifecycle import MessageReader, pack


class GatewayLink(asyncio.Protocol):
    """Sends routes and answers, hands on what the gateway says.

    A gateway that does not read gets only the newest routes once it does.

    Args:
        on_message: Called with each message.
        on_lost: Called when the gateway is gone or talks nonsense.
    """

    def __init__(
        self, *, on_message: Callable[[FromGateway], None], on_lost: Callable[[], object]
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = MessageReader(FromGateway)
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._held_back: Routes | None = None

    def send_routes(self, routes: Routes) -> None:
        """Sends the routing table, or keeps it until the gateway reads again."""
        if self._paused:
            self._held_back = routes
        else:
            self._send(routes)

    def send_access(self, table: AccessTable) -> None:
        """Sends who has access; it is never held back, and small."""
        self._send(table)

    def send_upstreams(self, upstreams: Upstreams) -> None:
        """Sends which boxes to keep linked; it is never held back, and small."""
        self._send(upstreams)

    def send_ask(self, ask: Ask) -> None:
        """Sends a request that is for another box."""
        self._send(ask)

    def send_answer(self, answer: Answered) -> None:
        """Sends the answer to an operator's request."""
        self._send(answer)

    def send_stop(self) -> None:
        """Has the gateway answer what is under way, and exit."""
        self._send(StopAccepting())

    def close(self) -> None:
        """Closes the socket."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream socket's

    def data_received(self, data: bytes) -> None:
        """Hands on what the gateway said."""
        try:
            messages = self._reader.feed(data)
        except ProtocolError:
            self.close()
            return
        for message in messages:
            self._on_message(message)

    def pause_writing(self) -> None:
        """Holds routes back."""
        self._paused = True

    def resume_writing(self) -> None:
        """Sends the routes that were held back."""
        self._paused = False
        if self._held_back is not None:
            routes, self._held_back = self._held_back, None
            self._send(routes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the owner."""
        self._transport = None
        self._on_lost()

    def _send(self, message: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(message))
