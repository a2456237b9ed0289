"""Makes replicas: a process that has imported what they need, and forks.

A plain interpreter takes most of a second to import numpy, ONNX Runtime and pydantic; a fork of one
that has done so takes milliseconds and shares their memory. The price is that nothing in it may
start a thread. It is one blocking loop over the box's socket and the deaths of its children:

    python -m edgefn_runtime.forkserver --fd 5 --preload edgefn_runtime.replica,onnxruntime

It ends, with all its children, when the box's end of the socket does.
"""

import argparse
import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from typing import Final

from edgefn_runtime.lifecycle import (
    Exited,
    Fork,
    Forked,
    ForkFailed,
    FromForkserver,
    Kill,
    MessageReader,
    ReplicaConfig,
    ToForkserver,
    pack,
)
from edgefn_runtime.process import die_with

# Imported by name, after the environment is set: the box imports this module for `send_fork`.
REPLICA_MODULE: Final = "edgefn_runtime.replica"
WARM_MODULE: Final = "edgefn_runtime.warm"
# Before numpy and ONNX Runtime are imported: no thread pools, and no usage data sent to anyone from
# a thread of its own.
ENVIRON: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}
# What replicas need is imported once, before the fork, and shared by all of them. By name, the SDK
# included: this package needs nothing of it, but whoever starts a forkserver has it.
PRELOAD: Final = (
    REPLICA_MODULE,
    "edgefn_runtime.backends.onnx",
    "edgefn._function",
    "msgspec",
    "numpy",
    "pydantic",
    "uvloop",
)
MAX_FORK_BYTES: Final = 16 * 1024
_READ_BYTES: Final = 64 * 1024
_MAX_FDS: Final = 64


def send_fork(box_end: socket.socket, fork: Fork, fds: tuple[int, int]) -> None:
    """Sends a request with its descriptors, log pipe and lifecycle socket, whole or not at all.

    The descriptors stay the caller's to close. Never blocks on a non-blocking socket.

    Raises:
        BlockingIOError: The forkserver has too much to read; nothing was sent.
        OSError: It is gone; or the request is too large, which its paths decide.
    """
    data = pack(fork)
    if len(data) > MAX_FORK_BYTES:
        raise OSError(f"a request of {len(data)} bytes; at most {MAX_FORK_BYTES} may be")
    # The kernel takes a message of this size in one piece or refuses it.
    socket.send_fds(box_end, [data], fds)


class Forkserver:
    """The loop. `run` returns, with every child dead, when the box is gone."""

    def __init__(self, box: socket.socket) -> None:
        self._box = box
        self._reader = MessageReader(ToForkserver)
        self._fds: deque[int] = deque()
        self._replica_of: dict[int, str] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._wakeup_write = socket.socketpair()

    def run(self) -> None:
        """Serves the box until its end of the socket is closed."""
        for end in (self._wakeup, self._wakeup_write):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that it wakes the selector
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._box, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        with contextlib.suppress(ConnectionError):  # the box is gone
            while self._serve_once():
                pass
        self._end_all()

    def _serve_once(self) -> bool:
        """Waits for something to do and does it; returns whether the box is still there."""
        ready = {key.fileobj for key, _ in self._selector.select()}
        if self._wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                self._wakeup.recv(4096)
            self._reap()
        if self._box not in ready:
            return True
        data, fds, _, _ = socket.recv_fds(self._box, _READ_BYTES, _MAX_FDS)
        self._fds.extend(fds)
        for message in self._reader.feed(data):
            if isinstance(message, Fork):
                self._fork(message.config)
            elif isinstance(message, Kill):
                self._kill(message.replica)
        return bool(data)

    def _fork(self, config: ReplicaConfig) -> None:
        log_fd, lifecycle_fd = self._fds.popleft(), self._fds.popleft()
        parent_pid = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            self._say(ForkFailed(config.replica, f"the system refused a process: {error}"))
        else:
            if pid == 0:
                self._be_replica(config, log_fd, lifecycle_fd, parent_pid)
            self._replica_of[pid] = config.replica
            self._say(Forked(config.replica, pid))
        finally:
            os.close(log_fd)
            os.close(lifecycle_fd)

    def _be_replica(
        self, config: ReplicaConfig, log_fd: int, lifecycle_fd: int, parent_pid: int
    ) -> None:
        """Never returns: what follows in the parent's code is not the child's."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for end in (self._box, self._wakeup, self._wakeup_write):
                end.close()
            for fd in self._fds:
                os.close(fd)
            replica = importlib.import_module(REPLICA_MODULE)
            code = replica.main(
                config, log_fd=log_fd, lifecycle_fd=lifecycle_fd, parent_pid=parent_pid
            )
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _kill(self, replica: str) -> None:
        for pid, name in self._replica_of.items():
            if name == replica:
                _kill_with_group(pid)

    def _reap(self) -> None:
        """Reports every child that has died, and ends what it left behind."""
        while self._replica_of:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            # While it is not reaped yet, its process group cannot be anyone else's.
            _kill_with_group(dead.si_pid)
            _, status = os.waitpid(dead.si_pid, 0)
            replica = self._replica_of.pop(dead.si_pid)
            self._say(Exited(replica, os.waitstatus_to_exitcode(status)))

    def _end_all(self) -> None:
        for pid in self._replica_of:
            _kill_with_group(pid)
        for pid in self._replica_of:
            os.waitpid(pid, 0)

    def _say(self, message: FromForkserver) -> None:
        self._box.sendall(pack(message))


def _kill_with_group(pid: int) -> None:
    """Kills a child that is not reaped yet, and the processes that it has started."""
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # it has no group of its own until it made one


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a forkserver; returns its exit code."""
    parser = argparse.ArgumentParser(prog="edgefn_runtime.forkserver")
    parser.add_argument("--fd", type=int, required=True, help="the socket to the box")
    parser.add_argument("--preload", default="", help="modules to import before the first fork")
    options = parser.parse_args(arguments)
    die_with(os.getppid())
    # The box says when to end: not a Ctrl-C in its terminal, nor a service manager that tells all
    # processes at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    box = socket.socket(fileno=options.fd)
    box.set_inheritable(False)
    box.setblocking(True)
    _preload([REPLICA_MODULE, *filter(None, options.preload.split(","))])
    Forkserver(box).run()
    return 0


def _preload(modules: Sequence[str]) -> None:
    for name, value in ENVIRON.items():
        os.environ.setdefault(name, value)
    if not sys.flags.safe_path:
        sys.path.pop(0)  # where the box was started is no place to import a function's modules from
    gc.disable()  # until a replica is loaded: a collection would copy the pages that forks share
    for module in modules:
        importlib.import_module(module)
    importlib.import_module(WARM_MODULE).warm_up()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
