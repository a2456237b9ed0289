"""Reads what a file declares, in a process of its own that imports it."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from edgefn.bundle.description import Description
from edgefn.bundle.gather import BuildFailed

TIMEOUT_S: Final = 60.0
MAX_LOG_BYTES: Final = 16 * 1024


class Reading:
    """A file that is being read. Leaving it as a context ends its process.

    Most of a deployment's time is that of this process, so it is begun as early as can be.
    """

    def __init__(self, file: Path) -> None:
        """Begins."""
        self._file = file
        self._open = ExitStack()
        self._channel = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._output = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        command = [sys.executable, "-P", "-m", "edgefn.bundle.describe"]
        self._process = subprocess.Popen(
            [*command, str(file), str(self._channel.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=(self._channel.fileno(),),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._open.close()

    def result(self) -> Description:
        """Waits for the end and returns what the file declares.

        Raises:
            BuildFailed: It does not import, ends the process, or takes too long.
        """
        file = self._file
        try:
            status = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"{file}: importing it takes more than {TIMEOUT_S:g} s; do slow work in "
                "the constructor of a class, which runs when a replica starts",
                log=_lines(self._output),
            ) from error
        self._channel.seek(0)
        encoded = self._channel.read()
        log = _lines(self._output)
        if not encoded:
            raise BuildFailed(
                f"{file}: importing it ended the process ({_ending(status)})", log=log
            )
        description = msgspec.json.decode(encoded, type=Description)
        if description.error:
            raise BuildFailed(
                f"{file} does not import: {description.error}",
                traceback=description.traceback,
                log=log,
            )
        return description


def _lines(output: IO[bytes]) -> list[str]:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - MAX_LOG_BYTES))
    return output.read().decode(errors="replace").splitlines()


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
