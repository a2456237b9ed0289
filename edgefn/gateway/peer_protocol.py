"""One connection to a peer: frames out, frames in, and nothing of what they mean."""

import asyncio
import time
from collections.abc import Callable

from edgefn.access.identity import Identity, identity_of
from edgefn.errors import ProtocolError
from edgefn.gateway.frame_stream import FrameStream
from edgefn.gateway.peer_wire import (
    PEER_PROTOCOL,
    Greeting,
    PeerFrame,
    PeerFrameReader,
    encode_greeting,
)


class PeerProtocol(FrameStream):
    """Speaks the peer protocol over one connection, once; greets first.

    Args:
        greeting: What is said of this side.
        on_greeted: Told once, when the other side has said who it is.
        dialled: Whether this side made the connection.
        wants_hub: Whether the peer must be the hub of the fleet.

    Attributes:
        on_frame: Told of each frame after the greeting; set by `on_greeted`.
        greeted: Becomes the greeting of the peer, or the reason why there is none.
        heard_s: When the peer was last heard.
        dialled: Whether this side made the connection.
        wants_hub: Whether the peer must be the hub of the fleet.
        is_secure: Whether it is over TLS.
        identity: Who holds the certificate that the peer shows, if it shows one.
    """

    def __init__(
        self,
        greeting: Greeting,
        on_greeted: Callable[["PeerProtocol", Greeting], None],
        *,
        dialled: bool = False,
        wants_hub: bool = False,
    ) -> None:
        super().__init__()
        self._greeting = greeting
        self._on_greeted = on_greeted
        self._reader = PeerFrameReader()
        self.on_frame: Callable[[PeerFrame], None] = _refuse_early
        self.greeted: asyncio.Future[Greeting] = asyncio.get_running_loop().create_future()
        self.heard_s = time.monotonic()
        self.dialled = dialled
        self.wants_hub = wants_hub
        self.is_secure = False
        self.identity: Identity | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets; called by the loop."""
        super().connection_made(transport)
        stream = transport.get_extra_info("ssl_object")
        if stream is not None:
            self.is_secure, self.identity = True, identity_of(stream.getpeercert())
        self.write(encode_greeting(self._greeting))

    def data_received(self, data: bytes) -> None:
        """Takes frames; called by the loop."""
        self.heard_s = time.monotonic()
        try:
            frames = self._reader.feed(data)
        except ProtocolError as error:
            self.abort(f"it sent what is no frame of a peer: {error.message}")
            return
        try:
            for frame in frames:
                if type(frame) is Greeting:
                    self._greet(frame)
                else:
                    self.on_frame(frame)
        except ProtocolError as error:
            self.abort(error.message)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        super().connection_lost(exc)
        if not self.greeted.done():
            self.greeted.set_exception(ProtocolError(self.closed.result()))
            self.greeted.exception()  # whoever waited may be gone

    def _greet(self, greeting: Greeting) -> None:
        if self.greeted.done():
            raise ProtocolError("a second greeting")
        if greeting.protocol != PEER_PROTOCOL:
            raise ProtocolError(
                f"box {greeting.box!r} speaks peer protocol {greeting.protocol}, this one "
                f"{PEER_PROTOCOL}: upgrade the older one"
            )
        self._on_greeted(self, greeting)
        self.greeted.set_result(greeting)


def check_holder(identity: Identity | None, greeting: Greeting, *, wants_hub: bool) -> None:
    """Makes sure that whoever greets over TLS is who its certificate says it is.

    Raises:
        ProtocolError: It is no box, another one, or not the hub.
    """
    if identity is None or identity.kind != "box":
        raise ProtocolError(f"it greets as box {greeting.box!r} without the certificate of a box")
    if identity.name != greeting.box:
        raise ProtocolError(
            f"it greets as box {greeting.box!r}, and its certificate is that of {identity.name!r}"
        )
    if wants_hub and not identity.is_hub:
        raise ProtocolError(f"box {greeting.box!r} is not the hub of this fleet")


def _refuse_early(frame: PeerFrame) -> None:
    raise ProtocolError(f"a {type(frame).__name__.lower()} before the greeting")
