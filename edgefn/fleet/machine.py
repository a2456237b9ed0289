"""Ray's processes on this machine, from their start to their end."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from edgefn.errors import ConfigError

PREFIX: Final = "edgefn-ray-"
START_TIMEOUT_S: Final = 120.0
_ADDRESS_FILE: Final = "ray_current_cluster"  # written when the processes run
_LOOK_S: Final = 0.1
_READ_BYTES: Final = 16_384
_DEATH: Final = "[exit code="
_MOST_DEATHS: Final = 8
_END_TIMEOUT_S: Final = 10.0


class NotStarted(Exception):
    """Ray did not start; the message is the last that it said."""


class Machine:
    """One run of Ray: `ray start` and what it starts, in a session of their own.

    All end with this process, in whatever way it does.
    """

    def __init__(self, process: Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._rest = b""
        self._last_line = "it said nothing"
        self._deaths: list[str] = []
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environ: Mapping[str, str], folder: Path
    ) -> Self:
        """Starts it; `started` then waits until it runs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "edgefn.fleet.start_ray", *arguments,
            stdin=PIPE, stdout=PIPE, stderr=STDOUT,
            env=dict(environ), cwd=folder, start_new_session=True,
        )  # fmt: skip
        return cls(process, folder)

    @property
    def pid(self) -> int:
        """Of `ray start`, whose session all of Ray's processes are in."""
        return self._process.pid

    async def started(self) -> str:
        """Waits until Ray runs, and returns the address of its head.

        Raises:
            NotStarted: It ended, or takes too long.
        """
        file = self._folder / _ADDRESS_FILE
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while self._process.returncode is None:
                    if file.exists() and (address := file.read_text().strip()):
                        return address
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise NotStarted(f"not within {START_TIMEOUT_S:g} s: {self.last_words()}") from None
        raise NotStarted(self.last_words())

    async def ended(self) -> int:
        """Waits for its end, and returns the exit status."""
        return await self._process.wait()

    def last_words(self) -> str:
        """Returns which process died, if Ray said so, or else the last line that it said."""
        return ", ".join(self._deaths) or self._last_line

    async def kill(self) -> None:
        """Ends all of it at once.

        Not in order: what holds leases would give them back, and this is no reason to.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
                await self._listening
        self._listening.cancel()

    async def _listen(self) -> None:
        pipe = self._process.stdout
        while pipe is not None and (read := await pipe.read(_READ_BYTES)):
            *lines, rest = (self._rest + read).split(b"\n")
            self._rest = rest[:_READ_BYTES]
            for line in filter(None, map(_plain, lines)):
                self._last_line = line
                if _DEATH in line and len(self._deaths) < _MOST_DEATHS:
                    self._deaths.append(line)


def _plain(line: bytes) -> str:
    """Returns a line of Ray's log without when and where it was said."""
    return " ".join(line.decode(errors="replace").rpartition(" -- ")[2].split())


def make_folder(note: Path) -> Path:
    """Returns a new folder for Ray's sockets and logs, and removes the one of the run before.

    Not in the state directory: the paths of its sockets add 62 bytes, and may have 107.

    Args:
        note: A file that remembers it.

    Raises:
        ConfigError: There is no place for it.
    """
    _remove_stale(note)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        note.write_text(str(folder))
    except OSError as error:
        raise ConfigError(f"no folder for Ray's sockets: {error}; set TMPDIR to one") from error
    return folder


def remove_folder(folder: Path, note: Path) -> None:
    """Removes the folder and the note of it."""
    shutil.rmtree(folder, ignore_errors=True)
    note.unlink(missing_ok=True)


def _remove_stale(note: Path) -> None:
    with suppress(OSError, ValueError):
        folder = Path(note.read_text())
        # The note is a mere file: whatever it names, only what this could have made is removed.
        ours = folder.is_absolute() and folder.name.startswith(PREFIX)
        if ours and folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
