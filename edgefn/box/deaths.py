"""Why a replica is gone, in words and as a class for the metrics."""

import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

DeathCause = Literal["timeout", "stalled", "signal", "exit", "out_of_memory", "start", "launcher"]

_VMSTAT: Final = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of a replica that nobody asked for."""

    cause: DeathCause
    reason: str
    at: datetime


def explain_exit(status: int, *, out_of_memory: bool) -> tuple[DeathCause, str]:
    """Returns the cause and the reason of an exit that the box did not order.

    Args:
        status: As `os.waitstatus_to_exitcode` gives it: negative for a signal.
        out_of_memory: Whether the kernel killed any process for want of memory meanwhile.
    """
    if status >= 0:
        return "exit", f"exited with status {status}"
    if -status == signal.SIGKILL and out_of_memory:
        return "out_of_memory", "killed by SIGKILL, most likely because memory ran out"
    return "signal", f"killed by {_signal_name(-status)}"


def out_of_memory_kills() -> int:
    """Returns how many processes of this machine the kernel killed for want of memory."""
    try:
        text = _VMSTAT.read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
