"""One box a state directory: an exclusive lock on a file that says whose it is."""

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from edgefn.errors import ConfigError, StateLocked


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a state directory.

    Attributes:
        pid: Of the box.
        url: Where it answers; empty before it listens.
    """

    pid: int
    url: str = ""


class StateLock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, state_dir: Path) -> Self:
        """Makes the state directory if there is none, and locks it.

        Raises:
            StateLocked: Another box holds it.
            ConfigError: It cannot be made or written.
        """
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(state_dir / "lock", flags, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the state directory {state_dir} cannot be used: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read(descriptor)
            os.close(descriptor)
            raise StateLocked(
                f"another box, process {holder.pid}, uses the state directory {state_dir}: "
                "stop it with `edgefn down`, or choose another with --state-dir",
                pid=holder.pid,
                url=holder.url,
            ) from error
        lock = cls(descriptor)
        lock.tell("")
        return lock

    def tell(self, url: str) -> None:
        """Writes into the lock file who holds it and where that one answers."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, msgspec.json.encode(Holder(pid=os.getpid(), url=url)), 0)

    def release(self) -> None:
        """Lets another box have the state directory."""
        os.close(self._descriptor)


def _read(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.MsgspecError:  # its holder is about to write it
        return Holder(pid=0)
