"""Tells the box what alerts saw in answers, many at a time: a call never waits for it."""

import asyncio
import logging
from typing import Final

from edgefn.gateway.box_link import BoxLink
from edgefn.gateway.control import Marked, MarkedAnswer

FLUSH_S: Final = 0.01
MAX_TOLD: Final = 256
MAX_HELD: Final = 8192

_log = logging.getLogger(__name__)


class Marking:
    """Collects marks, and sends them on.

    Args:
        box: Is told.
    """

    def __init__(self, box: BoxLink) -> None:
        self._box = box
        self._loop = asyncio.get_running_loop()
        self._held: list[MarkedAnswer] = []
        self._timer: asyncio.TimerHandle | None = None
        self._lost = 0

    def note(self, function: str, source: str, marks: bytes) -> None:
        """Takes the marks of an answer."""
        if len(self._held) >= MAX_HELD:
            self._lose()
            return
        self._held.append(MarkedAnswer(function, source, marks))
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._flush_unless_congested)

    def flush(self) -> None:
        """Sends what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        for start in range(0, len(held), MAX_TOLD):
            self._box.tell(Marked(tuple(held[start : start + MAX_TOLD])))

    def _flush_unless_congested(self) -> None:
        if self._box.congested():
            self._timer = self._loop.call_later(FLUSH_S, self._flush_unless_congested)
        else:
            self._lost = 0
            self.flush()

    def _lose(self) -> None:
        if not self._lost:
            _log.error("the box does not read: alerts do not see the answers beyond %d", MAX_HELD)
        self._lost += 1
