"""Rings for calls when it is time to do something, with one timer for all of them.

Nearly every call is answered long before; a timer that is started and stopped for each would cost
more than routing it. Calls are kept by the tick of their alarm (a timing wheel without a rim:
Varghese and Lauck, 1987), and the timer waits for the first tick that has any.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from edgefn.gateway.call import PendingCall

TICK_S: Final = 0.002
_NEVER: Final = 2**63


class Alarms:
    """Watches calls, one alarm each.

    Args:
        ring: Called with each call whose alarm is due, never early and at most `TICK_S` late.
    """

    def __init__(self, ring: Callable[[PendingCall], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._call_ring = ring
        self._calls: dict[int, dict[PendingCall, None]] = {}
        self._armed = _NEVER
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, call: PendingCall) -> None:
        """Rings for a call at its `alarm_s`, unless it is unwatched before.

        For one that is watched already, this is how the alarm is moved.
        """
        if call.tick:
            self.unwatch(call)
        tick = call.tick = int(call.alarm_s / TICK_S) + 1
        calls = self._calls.get(tick)
        if calls is not None:
            calls[call] = None
            return
        self._calls[tick] = {call: None}
        if tick < self._armed:
            self._arm(tick)

    def unwatch(self, call: PendingCall) -> None:
        """Forgets a call."""
        tick, call.tick = call.tick, 0
        calls = self._calls.get(tick)
        if calls is not None:
            calls.pop(call, None)
            if not calls:
                del self._calls[tick]

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = tick
        delay_s = max(0.0, tick * TICK_S - time.monotonic())
        self._timer = self._loop.call_later(delay_s, self._ring)

    def _ring(self) -> None:
        now = int(time.monotonic() / TICK_S)
        for tick in sorted(tick for tick in self._calls if tick <= now):
            for call in self._calls.pop(tick, ()):
                call.tick = 0
                self._call_ring(call)
        self._armed = _NEVER
        if self._calls:
            self._arm(min(self._calls))
