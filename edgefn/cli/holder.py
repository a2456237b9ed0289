"""Finds the box that holds a state directory, and ends exactly that process."""

import os
import select
import signal
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box.lock import Holder
from edgefn.errors import EdgefnError

_LOCKS: Final = Path("/proc/locks")


def holder_of(state_dir: Path) -> Holder | None:
    """Returns the box that holds a state directory, or None if nobody does.

    A file that was left behind is not enough: the kernel must say that the process in it holds the
    lock now, since its number may long belong to another.
    """
    path = state_dir / "lock"
    try:
        holder = msgspec.json.decode(path.read_bytes(), type=Holder)
        inode = path.stat().st_ino
    except (OSError, msgspec.MsgspecError):
        return None
    return holder if _holds(holder.pid, inode, _LOCKS.read_text()) else None


def _holds(pid: int, inode: int, locks: str) -> bool:
    """Whether a line such as `1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF` says so."""
    for line in locks.splitlines():
        fields = line.split()
        # Not the device before the inode: of stacked file systems that is not the one of stat().
        is_its = len(fields) >= 6 and fields[1] == "FLOCK" and fields[4] == str(pid)
        if is_its and fields[5].rpartition(":")[2] == str(inode):
            return True
    return False


def end(state_dir: Path, holder: Holder, timeout_s: float) -> None:
    """Sends SIGTERM to the box that holds a state directory, and waits until it is gone.

    Raises:
        EdgefnError: It may not be signalled, or it still runs after `timeout_s`.
    """
    try:
        process = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return
    try:
        # From here on the number cannot pass to another process; it was the box's just now.
        if holder_of(state_dir) != holder:
            return
        signal.pidfd_send_signal(process, signal.SIGTERM)
        gone, _, _ = select.select([process], [], [], timeout_s)
    except PermissionError as error:
        raise EdgefnError(
            f"process {holder.pid} belongs to another user; stop it as that"
        ) from error
    finally:
        os.close(process)
    if not gone:
        raise EdgefnError(
            f"the box, process {holder.pid}, still answers calls {timeout_s:g} s after it was "
            "asked to stop; ask again to end it at once"
        )
