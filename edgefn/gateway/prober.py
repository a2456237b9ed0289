"""When to probe a path, so that its time is known though nothing goes over it."""

from typing import Final

from edgefn.gateway.peer_wire import Probe

IDLE_S: Final = 0.25
_SMALL_BYTES: Final = 64
_LARGE_BYTES: Final = 32 * 1024  # by turns, so that time per byte can be told from time per call


class Prober:
    """Probes one path when nothing was measured on it for `idle_s`, one probe at a time.

    Args:
        now_s: When the path came up.
        idle_s: How long a measurement is new.
    """

    def __init__(self, now_s: float, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._measured_s = now_s - idle_s  # nothing is known yet: the first one goes at once
        self._sent_s = 0.0
        self._pending: Probe | None = None
        self._last_id = 0

    def measured(self, now_s: float) -> None:
        """Takes note that a call showed how long the path takes."""
        self._measured_s = now_s

    def due(self, now_s: float) -> Probe | None:
        """Returns the probe to send now, if any; it counts as sent."""
        if self._pending is not None or now_s - self._measured_s < self._idle_s:
            return None
        self._last_id = (self._last_id + 1) & 0xFFFFFFFF
        size_bytes = _SMALL_BYTES if self._last_id % 2 else _LARGE_BYTES
        self._pending, self._sent_s = Probe(self._last_id, size_bytes), now_s
        return self._pending

    def answered(self, now_s: float, probe_id: int) -> tuple[float, int] | None:
        """Returns how long the pending probe took and what it carried; None if it is not that."""
        probe = self._pending
        if probe is None or probe.id != probe_id:
            return None
        self._pending, self._measured_s = None, now_s
        return now_s - self._sent_s, probe.size_bytes
