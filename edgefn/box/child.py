"""A child process of the box, awaited without threads and without a SIGCHLD handler."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence


class Child:
    """A Python module that runs as a process of its own.

    It has its own session: a Ctrl-C in the terminal of the box reaches the box alone, which then
    ends its children in order. Make it on the main thread: the signal that a child asks for in case
    of its parent's death is sent when the thread dies that made it.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        pass_fds: Sequence[int],
        environ: Mapping[str, str],
        python: str = sys.executable,
    ) -> None:
        # -P: the folder in which the box was started must not shadow modules.
        self._process = subprocess.Popen(
            [python, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints is for the log of the box
            pass_fds=pass_fds,
            env=dict(environ),
            start_new_session=True,
        )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._exited = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits for the end and returns the exit status, negative for a signal."""
        await self._exited.wait()
        return int(self._process.returncode)

    async def wait_at_most(self, timeout_s: float) -> bool:
        """Waits for the end for a time, and returns whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()
        return self._exited.is_set()

    def terminate(self) -> None:
        """Sends SIGTERM, unless it is gone."""
        if not self._exited.is_set():
            self._process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL, unless it is gone."""
        if not self._exited.is_set():
            self._process.kill()

    def _reap(self) -> None:
        if self._process.poll() is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exited.set()
