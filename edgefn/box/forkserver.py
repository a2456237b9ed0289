"""The box's side of the forkserver: keeps one running, asks it for replicas, hears of their end."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

from edgefn.box.backoff import Backoff
from edgefn.box.channel import Channel
from edgefn.box.child import Child
from edgefn_runtime.forkserver import PRELOAD, send_fork
from edgefn_runtime.lifecycle import Fork, FromForkserver, Kill, ReplicaConfig

END_S: Final = 2.0

_log = logging.getLogger(__name__)


class Forkserver:
    """One forkserver process, started again whenever it dies.

    Args:
        on_event: Called with what it says of a replica.
        on_lost: Called when it died, and all replicas with it.
        python: The interpreter of its environment.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[FromForkserver], None],
        on_lost: Callable[[], None],
        python: str = sys.executable,
    ) -> None:
        self._on_event = on_event
        self._on_lost = on_lost
        self._python = python
        self._child: Child | None = None
        self._channel: Channel | None = None
        self._up = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether a fork can be asked for."""
        return self._up.is_set()

    @property
    def is_new(self) -> bool:
        """Whether its process was never started yet."""
        return self._child is None

    async def up(self) -> None:
        """Waits until a fork can be asked for."""
        await self._up.wait()

    async def keep(self) -> None:
        """Starts it, and again after each death, until cancelled."""
        backoff = Backoff()
        try:
            while True:
                started_s = time.monotonic()
                try:
                    reason: object = await self._start().wait()
                    self._lost()
                except OSError as error:
                    reason = error
                delay_s = backoff.after(time.monotonic() - started_s)
                _log.error("the forkserver died (%s); next one in %g s", reason, delay_s)
                await asyncio.sleep(delay_s)
        finally:
            await self._end()

    def fork(self, config: ReplicaConfig, log_fd: int, lifecycle_fd: int) -> bool:
        """Asks for a replica; returns whether the request went out. The descriptors stay ours."""
        if self._channel is None:
            return False
        try:
            send_fork(self._channel.sock, Fork(config), (log_fd, lifecycle_fd))
        except OSError as error:
            _log.error("the forkserver does not take requests: %s", error)
            return False
        return True

    def kill(self, replica: str) -> None:
        """Asks for the end of a replica."""
        if self._channel is None:
            return
        if not self._channel.send(Kill(replica)) and self._child is not None:
            _log.error("the forkserver does not take requests; it is killed")
            self._child.kill()

    def _start(self) -> Child:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                child = Child(
                    "edgefn_runtime.forkserver",
                    ["--fd", str(theirs.fileno()), "--preload", ",".join(PRELOAD)],
                    pass_fds=[theirs.fileno()],
                    environ=os.environ,
                    python=self._python,
                )
            undo.pop_all()
        self._child = child
        self._channel = Channel(ours, FromForkserver, on_message=self._on_event, on_lost=child.kill)
        self._up.set()
        return child

    def _lost(self) -> None:
        self._up.clear()
        if self._channel is not None:
            self._channel.read_rest()
            self._channel.close()
            self._channel = None
        self._on_lost()

    async def _end(self) -> None:
        """Closes its socket, on which it kills what it made and exits."""
        self._up.clear()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._child is not None and not await self._child.wait_at_most(END_S):
            self._child.kill()
            await self._child.wait()
