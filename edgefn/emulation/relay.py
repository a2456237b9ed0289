"""One direction of one connection over an emulated link: bytes are held until they are due."""

import asyncio
import time
from collections import deque
from typing import Final, Protocol, cast

from edgefn.emulation.path import Conditions, Direction, Order, timeout_s

_MOST_HELD_BYTES: Final = 4 * 1024 * 1024  # then the sender is not read; 100 Mbit/s over 320 ms
_END: Final = b""


class LinkState(Protocol):
    """What a relay reads of its link, which may change at any time."""

    conditions: Conditions


class Relay:
    """Takes bytes of one side, and writes them to the other when they are due.

    Args:
        link: Whose conditions count.
        direction: Shared with the other connections of the link.
    """

    def __init__(self, link: LinkState, direction: Direction) -> None:
        self._link = link
        self._direction = direction
        self._order = Order()
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._sink_full = False

    def read_from(self, source: asyncio.Transport) -> None:
        """Says who speaks: it is not read while too much is held."""
        self._source = source

    def write_to(self, sink: asyncio.Transport) -> None:
        """Says who hears, and begins to deliver."""
        self._sink = sink
        self._deliver()

    def take(self, data: bytes) -> None:
        """Takes bytes; none mean that the side has no more to say."""
        now_s = time.monotonic()
        conditions = self._link.conditions
        arrival_s = self._direction.arrival_s(now_s, len(data), conditions)
        self._held.append((self._order.after(arrival_s), data))
        self._held_bytes += len(data)
        self._throttle()
        if self._timer is None:
            self._deliver()

    def sink_full(self, full: bool) -> None:
        """Takes note whether the receiver reads."""
        self._sink_full = full
        if not full:
            self._deliver()

    def restored(self) -> None:
        """Goes on after a cut: what was sent meanwhile is sent again a timeout later."""
        if self._held:
            again_s = time.monotonic() + timeout_s(self._link.conditions)
            self._held = deque((max(due_s, again_s), data) for due_s, data in self._held)
            self._order.after(again_s)
        self._deliver()

    def end(self) -> None:
        """Takes note that the side that speaks is gone; the other one hears it in time."""
        self._source = None
        self.take(_END)

    def close(self) -> None:
        """Drops what is held: no one hears it any more."""
        self._sink = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held.clear()
        self._held_bytes = 0

    def _deliver(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sink = self._sink
        if sink is None or self._sink_full or self._link.conditions.cut:
            return
        now_s = time.monotonic()
        while self._held and self._held[0][0] <= now_s and not self._sink_full:
            _, data = self._held.popleft()
            self._held_bytes -= len(data)
            if data:
                sink.write(data)
            else:
                sink.close()
        self._throttle()
        if self._held and not self._sink_full:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._held[0][0] - now_s, self._deliver)

    def _throttle(self) -> None:
        source = self._source
        if source is None or source.is_closing():
            return
        if self._held_bytes > _MOST_HELD_BYTES:
            source.pause_reading()
        elif self._held_bytes < _MOST_HELD_BYTES // 2:
            source.resume_reading()


class Side(asyncio.Protocol):
    """One of the two ends of a connection over an emulated link.

    Args:
        speaks: Takes what comes from here.
        hears: Writes to here.
        on_lost: Told when this end is gone.

    Attributes:
        transport: Of the end, once it is connected.
    """

    def __init__(self, speaks: Relay, hears: Relay, on_lost: "LostListener") -> None:
        self._speaks = speaks
        self._hears = hears
        self._on_lost = on_lost
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast(asyncio.Transport, transport)
        self._speaks.read_from(self.transport)
        self._hears.write_to(self.transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._speaks.take(data)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._hears.sink_full(True)

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._hears.sink_full(False)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        self._hears.close()
        self._on_lost.side_lost(self)


class LostListener(Protocol):
    """Who hears that an end is gone."""

    def side_lost(self, side: Side) -> None:
        """The end is gone."""
