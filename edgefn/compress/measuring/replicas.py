"""Starts replicas as a box does, from a warm forkserver, but without anyone who calls them."""

import contextlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Self

from edgefn.compress.children.stream import Stream
from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.forkserver import PRELOAD, send_fork
from edgefn_runtime.lifecycle import (
    Exited,
    Failed,
    Fork,
    Forked,
    ForkFailed,
    FromForkserver,
    Kill,
    Measure,
    Measured,
    Ready,
    ReplicaConfig,
    StatusPage,
    ToBuild,
    pack,
)

START_S: Final = 60.0
MEASURE_S: Final = 120.0
END_S: Final = 5.0


class ReplicaLost(Exception):
    """A replica did not start, or died, or hangs; says why."""


class Replicas:
    """A forkserver with the replicas that it was asked for. A context manager.

    Leaving it ends all of them. The kernel does so if the thread ends that entered it.
    """

    def __init__(self) -> None:
        # Not any folder: the path of a Unix socket has 107 bytes at most.
        self._folder = tempfile.TemporaryDirectory(prefix="edgefn-")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "edgefn_runtime.forkserver",
                    "--fd", str(theirs.fileno()), "--preload", ",".join(PRELOAD),
                ],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a Ctrl-C is the build's alone, which then closes this
            )  # fmt: skip
        self._events = Stream(ours, FromForkserver)
        self._exits: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._events.sock.close()  # on which the forkserver kills what it made, and exits
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """For sockets and status pages of replicas; gone in the end."""
        return Path(self._folder.name)

    def start(self, config: ReplicaConfig) -> "Replica":
        """Starts a replica and waits until it is ready.

        Raises:
            ReplicaLost: It does not become ready.
        """
        StatusPage.create(Path(config.status))
        ours, theirs = socket.socketpair()
        log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the replica)
        replica = Replica(config.replica, ours, log, self)
        with theirs:
            self._events.sock.settimeout(START_S)
            try:
                send_fork(self._events.sock, Fork(config), (log.fileno(), theirs.fileno()))
            except OSError as error:
                replica.close()
                raise ReplicaLost(f"the forkserver does not take requests: {error}") from error
        try:
            replica.ready()
        except BaseException:
            replica.close()
            raise
        return replica

    def kill(self, replica: str) -> None:
        """Ends a replica, whatever it does."""
        with contextlib.suppress(OSError):  # with the forkserver, it is gone anyway
            self._events.sock.sendall(pack(Kill(replica)))

    def exit_of(self, replica: str) -> str:
        """Says how a replica ended, waiting for it a little."""
        with contextlib.suppress(TimeoutError):
            while replica not in self._exits:
                event = self._events.next(END_S)
                if event is None:
                    return "the forkserver died"
                if isinstance(event, Exited):
                    self._exits[event.replica] = event.status
                elif isinstance(event, ForkFailed):
                    return event.message
                else:
                    assert isinstance(event, Forked)
        return _ending(self._exits.get(replica))


class Replica:
    """One replica that was asked for."""

    def __init__(self, name: str, lifecycle: socket.socket, log: Any, replicas: Replicas) -> None:
        self._name = name
        self._messages = Stream(lifecycle, ToBuild)
        self._log = log
        self._replicas = replicas

    def ready(self) -> None:
        """Waits until it is.

        Raises:
            ReplicaLost: It does not become ready.
        """
        if not isinstance(message := self._next(START_S), Ready):
            raise ReplicaLost(f"unexpected {message}")

    def measure(self, asked: Measure) -> Measured:
        """Has it measure its models.

        Raises:
            ReplicaLost: A model does not run, or kills it, or takes too long.
        """
        with contextlib.suppress(OSError):  # the next read says how it ended
            self._messages.sock.sendall(pack(asked))
        message = self._next(MEASURE_S)
        if not isinstance(message, Measured):
            raise ReplicaLost(f"unexpected {message}")
        return message

    def close(self) -> None:
        """Ends it."""
        self._replicas.kill(self._name)
        self._messages.sock.close()
        self._log.close()

    def _next(self, timeout_s: float) -> Ready | Measured:
        try:
            message = self._messages.next(timeout_s)
        except TimeoutError as error:
            raise ReplicaLost(f"nothing is heard of it for {timeout_s:g} s") from error
        except ProtocolError as error:
            raise ReplicaLost(error.message) from error
        if message is None:
            raise ReplicaLost(f"its replica died: {self._replicas.exit_of(self._name)}")
        if isinstance(message, Failed):
            raise ReplicaLost(message.error.message)
        found: Ready | Measured = message
        return found


def _ending(status: int | None) -> str:
    if status is None:
        return "nobody knows how"
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
