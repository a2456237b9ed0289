"""The way to one replica: keeps a connection to it, and knows which calls it holds."""

import asyncio
import time
from typing import Final, Protocol

from edgefn.errors import EdgefnError, ProtocolError, ReplicaLost, TimedOut
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import ReplicaRoute
from edgefn.gateway.replica_protocol import ReplicaProtocol
from edgefn_runtime.wire import Reply, encode_cancel

_CONNECT_TIMEOUT_S: Final = 2.0
_BACKOFF_S: Final = 0.05  # doubled after each failure
_MAX_BACKOFF_S: Final = 1.0
_MANY_FAILURES: Final = 3


class LinkOwner(Protocol):
    """Who is told what happens on a link."""

    def link_up(self, link: "ReplicaLink") -> None:
        """The replica takes calls."""

    def link_down(self, link: "ReplicaLink", why: str, unsent: list[PendingCall]) -> None:
        """The replica takes no calls. The calls that it held have failed; `unsent` never left."""

    def replied(self, link: "ReplicaLink", call: PendingCall | None, reply: Reply) -> None:
        """The replica answered a call, or one that no one waits for any more (None)."""

    def suspect(self, link: "ReplicaLink", why: str) -> None:
        """The replica cannot be reached."""


class ReplicaLink:
    """Keeps one replica connected until it is retired.

    Attributes:
        route: Where the replica is.
        function: Whose calls it takes.
        revision: Of that function.
        calls: Sent, or about to be, and not answered, by id.
    """

    def __init__(self, route: ReplicaRoute, function: str, revision: int, owner: LinkOwner) -> None:
        self.route = route
        self.function = function
        self.revision = revision
        self.calls: dict[int, PendingCall] = {}
        self._owner = owner
        self._protocol: ReplicaProtocol | None = None
        self._retired = False
        self._last_id = 0

    async def run(self) -> None:
        """Connects, and connects again when the connection is lost, until retired."""
        failures = 0
        while not self._retired:
            try:
                protocol = await self._connect()
            except (OSError, TimeoutError, ProtocolError) as error:
                failures += 1
                if failures == _MANY_FAILURES and not self._retired:
                    self._owner.suspect(self, f"it cannot be connected: {error!r}")
            else:
                failures = 0
                await self._stay_connected(protocol)
            if not self._retired:
                await asyncio.sleep(min(_MAX_BACKOFF_S, _BACKOFF_S * 2 ** min(failures, 10)))

    def send(self, call: PendingCall, now_s: float) -> None:
        """Sends a call. The link must be up.

        Raises:
            ProtocolError: The call does not fit a frame.
        """
        assert self._protocol is not None
        # Ids repeat after four thousand million calls; no call is unanswered for as long.
        self._last_id = (self._last_id + 1) & 0xFFFFFFFF
        call.id = self._last_id
        call.replica = self.route
        call.sent_s = now_s
        self._protocol.send(call.id, call.frame(now_s))
        self.calls[call.id] = call

    def forget(self, call: PendingCall) -> None:
        """Stops waiting for a call, and tells the replica so."""
        if self.calls.pop(call.id, None) is None or self._protocol is None:
            return
        if not self._protocol.take_back(call.id):
            self._protocol.write(encode_cancel(call.id))
        self._close_if_done()

    def oldest(self) -> PendingCall | None:
        """Returns the call that was sent before all others that are not answered."""
        return next(iter(self.calls.values()), None)

    def retire(self) -> None:
        """Ends the link after the calls that it holds."""
        self._retired = True
        self._close_if_done()

    def abort(self) -> None:
        """Ends the link at once."""
        self._retired = True
        if self._protocol is not None:
            self._protocol.abort("the gateway stops")

    async def _connect(self) -> ReplicaProtocol:
        loop = asyncio.get_running_loop()
        protocol = ReplicaProtocol(self._replied)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.create_unix_connection(lambda: protocol, self.route.socket)
                hello = await protocol.greeted
            if hello.replica != self.route.replica:
                raise ProtocolError(f"{hello.replica} answers where it should listen")
        except BaseException:
            protocol.abort("it was not connected in time")
            raise
        return protocol

    async def _stay_connected(self, protocol: ReplicaProtocol) -> None:
        if self._retired:
            protocol.close()
            return
        self._protocol = protocol
        protocol.closed.add_done_callback(self._lost)
        self._owner.link_up(self)
        await asyncio.shield(protocol.closed)

    def _lost(self, closed: asyncio.Future[str]) -> None:
        protocol, self._protocol = self._protocol, None
        assert protocol is not None
        why = closed.result()
        calls, self.calls = self.calls, {}
        unsent = []
        now_s = time.monotonic()
        for call in calls.values():
            if protocol.take_back(call.id):
                unsent.append(call)
            else:
                call.fail(_lost_error(call, why, now_s))
        self._owner.link_down(self, why, unsent)

    def _replied(self, reply: Reply) -> None:
        self._owner.replied(self, self.calls.pop(reply.id, None), reply)
        if self._retired:
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self.calls and self._protocol is not None:
            self._protocol.close()

    @property
    def retired(self) -> bool:
        """Whether the replica is no longer in the routing table."""
        return self._retired


def _lost_error(call: PendingCall, why: str, now_s: float) -> EdgefnError:
    if now_s - call.sent_s >= call.timeout_s:  # the box kills what runs for longer
        return TimedOut(
            f"a run of {call.function!r} took longer than the {call.timeout_s:g} s that it may, "
            "and the replica that held the call was ended"
        )
    return ReplicaLost(
        f"the replica that held the call was lost before it answered: {why}. Another one takes "
        "its place"
    )
