"""What the box holds of one replica's process: its sockets, its status page, its log pipe."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from edgefn.box.channel import Channel
from edgefn.box.logs import FunctionLog, LogPipe
from edgefn.box.replica import Replica
from edgefn.box.watchdog import Verdict
from edgefn_runtime.lifecycle import Failed, FromReplica, Ready, ReplicaConfig, StatusPage


@dataclass(frozen=True, slots=True)
class Handover:
    """What goes to the forkserver for one replica; the box closes its copies afterwards."""

    config: ReplicaConfig
    log_fd: int
    lifecycle: socket.socket

    def close(self) -> None:
        """Closes the box's copies."""
        os.close(self.log_fd)
        self.lifecycle.close()


@dataclass(slots=True, kw_only=True)
class Process:
    """One replica with the box's ends of all that leads to it.

    Attributes:
        replica: What is known of it.
        log: The log of its function.
        page: Its status page.
        page_path: Where that is.
        pipe: Its output.
        channel: Its lifecycle socket.
        started: What it said at its start, or what the box found instead.
        gone: Set when the process is.
        verdict: Why the box has it killed, if it has.
        kills_before: Processes that the kernel had killed for want of memory before its start.
    """

    replica: Replica
    log: FunctionLog
    page: StatusPage
    page_path: Path
    pipe: LogPipe
    channel: Channel
    started: asyncio.Future[Ready | Failed]
    gone: asyncio.Event
    verdict: Verdict | None = None
    kills_before: int = 0

    @classmethod
    def open(
        cls,
        replica: Replica,
        log: FunctionLog,
        *,
        trial: bool,
        on_message: Callable[[str, FromReplica], None],
        on_lost: Callable[[str], None],
    ) -> tuple[Self, Handover]:
        """Makes the status page, the pipe and the socket of a replica to be.

        Args:
            replica: Its socket's path says where the page goes, too.
            log: Where its output goes.
            trial: Whether it is to announce its schema.
            on_message: Called with its id and what it says.
            on_lost: Called with its id when it closed its lifecycle socket.

        Raises:
            OSError: No file, descriptor or memory is left.
        """
        page_path = Path(replica.socket).with_suffix(".page")
        with ExitStack() as undo:
            page = StatusPage.create(page_path)
            undo.callback(page_path.unlink)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            undo.callback(theirs.close)
            read_fd, write_fd = os.pipe()
            undo.pop_all()
        config = replica.revision.replica_config(
            replica=replica.id,
            variant=replica.variant,
            socket=replica.socket,
            status=str(page_path),
            trial=trial,
        )
        process = cls(
            replica=replica,
            log=log,
            page=page,
            page_path=page_path,
            pipe=LogPipe(read_fd, partial(log.add, replica.id)),
            channel=Channel(
                ours,
                FromReplica,
                on_message=partial(on_message, replica.id),
                on_lost=partial(on_lost, replica.id),
            ),
            started=asyncio.get_running_loop().create_future(),
            gone=asyncio.Event(),
        )
        return process, Handover(config, write_fd, theirs)

    def close(self) -> None:
        """Takes what the process left in its socket and its pipe, and closes all."""
        self.channel.read_rest()
        self.channel.close()
        self.pipe.close()
        self.page_path.unlink(missing_ok=True)
        Path(self.replica.socket).unlink(missing_ok=True)
