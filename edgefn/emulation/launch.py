"""Starts the process of a session's emulated links, beside the boxes that it links."""

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

import msgspec

from edgefn.emulation.client import LinkControl
from edgefn.emulation.messages import SOCKET
from edgefn.errors import EdgefnError

_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 5.0


class Launch(msgspec.Struct, frozen=True):
    """What the process is told.

    Attributes:
        socket: Path of its control socket.
        seed: Of jitter and loss.
        parent: It ends with this process.
    """

    socket: str
    seed: int
    parent: int


class LinkProcess:
    """The process that has the links of a session.

    Attributes:
        control: Speaks with it.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: LinkControl) -> None:
        self._process = process
        self.control = control

    @classmethod
    def start(cls, folder: Path, seed: int) -> Self:
        """Starts it, and returns when its control socket answers.

        Args:
            folder: Of the session; nobody else may be able to enter it.
            seed: Of jitter and loss.

        Raises:
            EdgefnError: It did not start.
        """
        socket = folder / SOCKET
        launch = msgspec.json.encode(Launch(str(socket), seed, os.getpid())).decode()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edgefn.emulation", launch],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C here is not for it
            cwd="/",
        )
        assert process.stdout is not None
        with process.stdout as said:
            ready, _, _ = select.select([said], [], [], _START_TIMEOUT_S)
            if not ready or not said.readline():
                process.kill()
                raise EdgefnError(
                    f"the emulated links did not start; their process ended with {process.wait()}"
                )
        return cls(process, LinkControl(socket))

    def stop(self) -> None:
        """Ends all links and the process."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
