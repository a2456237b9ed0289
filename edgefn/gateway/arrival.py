"""How long what is read now had lain in its socket.

A loop that is busy, or was not given the processor, reads late, and that time is gone from a call's
budget. The kernel knows when a connection's last bytes came (`TCP_INFO`), to a tick of its clock.
"""

import socket
import struct
import time
from typing import Final

_LAST_DATA_RECEIVED: Final = struct.Struct("=52xI")  # of `struct tcp_info`, in milliseconds
_CLOCK_MONOTONIC_COARSE: Final = 6  # of Linux: the clock that ticks as the kernel's timers do
_TICK_S: Final = time.clock_getres(_CLOCK_MONOTONIC_COARSE)


def unread_s(sock: socket.socket | None) -> float:
    """Returns for how long at least the last bytes of a connection had been there; 0 if unknown.

    Args:
        sock: Of the connection; None or no TCP socket: nothing is known of it.
    """
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return 0.0
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size)
    except OSError:  # it is closed
        return 0.0
    if len(told) < _LAST_DATA_RECEIVED.size:
        return 0.0
    (since_ms,) = _LAST_DATA_RECEIVED.unpack(told)
    return max(0.0, float(since_ms) / 1000 - _TICK_S)
