"""`edgefn leave`."""

from edgefn.access.files import AccessFiles
from edgefn.box.following.memory import FILE
from edgefn.box.lock import StateLock
from edgefn.cli import options, output
from edgefn.config import settings
from edgefn.errors import ConfigError


def command(state_dir: options.StateDir = None) -> None:
    """Takes a box out of its fleet; it must be down. What it serves stays, and is its own."""
    folder = settings(state_dir=state_dir).state_dir
    files = AccessFiles(folder)
    hub = files.hub()
    if not hub:
        raise ConfigError(f"the box with the state directory {folder} joined no fleet")
    lock = StateLock.acquire(folder)
    try:
        files.left()
        (folder / FILE).unlink(missing_ok=True)
    finally:
        lock.release()
    output.out.print(output.plain(f"left the fleet of {hub}"))
    output.note("its certificate counts until it is revoked, on the hub: edgefn key revoke NAME")
