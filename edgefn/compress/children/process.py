"""A child process of a build, from the outside: asked, listened to, ended whatever it does.

What goes on inside it is in `edgefn.compress.children.serving`.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from edgefn.compress.children.share import Share
from edgefn.compress.children.stream import Stream
from edgefn.compress.progress import OnShare
from edgefn_runtime.forkserver import ENVIRON
from edgefn_runtime.lifecycle import pack

Heard = TypeVar("Heard")

END_S: Final = 2.0
MAX_LOG_BYTES: Final = 16 * 1024


class ChildDied(Exception):
    """The process is gone; says how it ended."""


class ChildSilent(Exception):
    """Nothing was heard of the process for too long."""


class ChildProcess(Generic[Heard]):
    """A child process that talks over a socket; never reads the terminal, never prints on it.

    The kernel ends it with the thread that makes it. In a session of its own, so that a Ctrl-C is
    the build's alone, which then ends it.

    Args:
        module: Its main module; it is given the descriptor of its end of the socket.
        kind: Of the messages that it sends, beside `Share`.
        work: Where it and what it starts put temporary files, so that whoever removes the folder
            removes what a killed process left; the system's folder if None.
    """

    def __init__(self, module: str, kind: Any, work: Path | None = None) -> None:
        own = {} if work is None else {"TMPDIR": str(work.resolve())}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **ENVIRON, **own},
                start_new_session=True,
            )
        self._messages = Stream(self._sock, kind | Share)

    @property
    def pid(self) -> int:
        """Of the process, and of the group of all that it starts."""
        return self._process.pid

    def send(self, message: msgspec.Struct) -> None:
        """Asks for something."""
        with contextlib.suppress(OSError):  # `receive` says how it ended
            self._sock.sendall(pack(message))

    def receive(self, timeout_s: float, on_share: OnShare = lambda share: None) -> Heard:
        """Returns the next message, shares apart.

        Args:
            timeout_s: For how long nothing may be heard, not even a share.
            on_share: Called with each share of the work that is done.

        Raises:
            ChildSilent: Nothing was heard for so long.
            ChildDied: Nothing will be heard any more.
        """
        while isinstance(message := self._next(timeout_s), Share):
            on_share(message.done)
        return message

    def _next(self, timeout_s: float) -> Heard | Share:
        try:
            message: Heard | Share | None = self._messages.next(timeout_s)
        except TimeoutError as error:
            raise ChildSilent(f"nothing is heard of it for {timeout_s:g} s") from error
        if message is None:
            raise ChildDied(_ending(self.end(END_S)))
        return message

    def log(self) -> list[str]:
        """Returns the last lines that it, or what it started, printed."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - MAX_LOG_BYTES))
        return self._log.read().decode(errors="replace").splitlines()

    def end(self, grace_s: float = 0.0) -> int:
        """Ends it and what it started; returns its exit status, negative for a signal.

        Args:
            grace_s: How long it may take to end by itself.
        """
        if self._process.returncode is None:
            self._await(grace_s)
            # It is not reaped yet, so that its group is nobody else's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._sock.close()
        return self._process.returncode

    def close(self) -> None:
        """Ends it and forgets what it printed."""
        self.end()
        self._log.close()

    def _await(self, grace_s: float) -> None:
        descriptor = os.pidfd_open(self.pid)
        try:
            select.select([descriptor], [], [], grace_s)
        finally:
            os.close(descriptor)


def _ending(status: int) -> str:
    if status >= 0:
        return f"its process ended with exit status {status}"
    return f"its process was killed by signal {-status} ({signal.Signals(-status).name})"
