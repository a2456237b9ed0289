"""A real forkserver with real replicas, and a gateway's end of their sockets."""

import contextlib
import hashlib
import os
import select
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn_runtime.errors import ErrorBody
from edgefn_runtime.forkserver import ENVIRON, send_fork
from edgefn_runtime.frames import FrameReader, encode_call, encode_cancel
from edgefn_runtime.lifecycle import (
    Drain,
    Exited,
    Failed,
    Fork,
    Forked,
    ForkFailed,
    Kill,
    MessageReader,
    ModelFile,
    Ready,
    ReplicaConfig,
    StatusPage,
    pack,
)
from edgefn_runtime.wire import NO_BUDGET, Call, CallHead, Content, Hello, Outcome, Reply

LIMIT_S = 20.0


class Messages:
    """Blocking reads of lifecycle messages, with a limit."""

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        self.sock = sock
        self._reader = MessageReader(kind)
        self._ready: list[Any] = []

    def next(self) -> Any:
        """Returns the next message, or None at the end of the stream."""
        self.sock.settimeout(LIMIT_S)
        while not self._ready:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._ready += self._reader.feed(data)
        return self._ready.pop(0)


class Peer:
    """A gateway's connection to a replica."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(path)
        self._reader = FrameReader()
        self._frames: list[Any] = []
        self._ids = iter(range(1, 1 << 30))
        self.hello: Hello = self.receive()

    def frame(self, budget_s: float | None = None, request_id: str = "", **fields: Any) -> bytes:
        """Returns the frame of a call with the next id."""
        head = msgspec.msgpack.encode(CallHead(request_id=request_id)) if request_id else b""
        budget_us = NO_BUDGET if budget_s is None else int(budget_s * 1e6)
        body = msgspec.json.encode(fields)
        return encode_call(
            Call(
                next(self._ids), Content.JSON, Content.JSON, 0, budget_us, head, body,
                int(time.monotonic() * 1e6),
            )
        )  # fmt: skip

    def receive(self) -> Any:
        """Returns the next frame, or None at the end of the stream."""
        while not self._frames:
            data = self.sock.recv(1 << 18)
            if not data:
                return None
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def call(self, **fields: Any) -> Any:
        """Returns the value that a call answers, or its ErrorBody."""
        self.sock.sendall(self.frame(**fields))
        return value_of(self.receive())

    def cancel(self, call_id: int) -> None:
        """Takes a call back."""
        self.sock.sendall(encode_cancel(call_id))

    def closed(self) -> bool:
        """Whether the replica has closed the connection; waits for it."""
        try:
            return self.receive() is None
        except ConnectionError:
            return True


def value_of(reply: Reply) -> Any:
    if reply.outcome == Outcome.ERROR:
        return msgspec.msgpack.decode(reply.body, type=ErrorBody)
    return msgspec.json.decode(reply.body)


class Replica:
    """A replica that was asked for, seen from the box."""

    def __init__(self, runtime: "Runtime", config: ReplicaConfig) -> None:
        self.config = config
        self.page = StatusPage.create(Path(config.status))
        ours, theirs = socket.socketpair()
        self.messages = Messages(ours, Ready | Failed)
        self._log, log_write = os.pipe()
        self._peers: list[Peer] = []
        with theirs:
            send_fork(runtime.sock, Fork(config), (log_write, theirs.fileno()))
        os.close(log_write)
        self._runtime = runtime

    @property
    def pid(self) -> int:
        """Of its process; waits until it has one."""
        return self._runtime.pid_of(self.config.replica)

    def ready(self) -> Ready:
        message = self.messages.next()
        assert isinstance(message, Ready), (message, self.log())
        return message

    def failed(self) -> Failed:
        message = self.messages.next()
        assert isinstance(message, Failed), message
        return message

    def connect(self) -> Peer:
        self._peers.append(Peer(self.config.socket))
        return self._peers[-1]

    def drain(self) -> None:
        self.messages.sock.sendall(pack(Drain()))

    def log(self, until: str | None = None) -> str:
        """Returns what it wrote so far; waits until that contains `until`."""
        text = b""
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            wait_s = 0.0 if until is None or until.encode() in text else 0.1
            if not select.select([self._log], [], [], wait_s)[0]:
                if wait_s == 0.0:
                    break
                continue
            data = os.read(self._log, 65536)
            if not data:
                break
            text += data
        return text.decode()

    def close(self) -> None:
        for peer in self._peers:
            peer.sock.close()
        self.messages.sock.close()
        os.close(self._log)


class Runtime:
    """A forkserver, seen from the box."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sock, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "edgefn_runtime.forkserver",
                    "--fd", str(theirs.fileno()), "--preload", "onnxruntime,edgefn",
                ],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **ENVIRON},
            )  # fmt: skip
        self._messages = Messages(self.sock, Forked | ForkFailed | Exited)
        self._pids: dict[str, int] = {}
        self._exits: dict[str, int] = {}
        self._made = 0
        self.replicas: list[Replica] = []

    def fork(
        self,
        source: str,
        models: dict[str, bytes] | None = None,
        digests: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        **config: Any,
    ) -> Replica:
        """Makes a bundle of the source, and a replica of its function `f`."""
        self._made += 1
        number = str(self._made)
        root = self.folder / number
        root.mkdir()
        (root / "function.py").write_text(
            "from edgefn import InvalidInput, Model, Tensor, edge_function\nimport os, sys, time\n"
            + textwrap.dedent(source)
        )
        for name, text in (files or {}).items():
            (root / name).write_text(text)
        entries = {}
        for parameter, data in (models or {}).items():
            (root / f"{parameter}.onnx").write_bytes(data)
            digest = (digests or {}).get(parameter) or hashlib.sha256(data).hexdigest()
            entries[parameter] = ModelFile(f"{parameter}.onnx", digest)
        asked = ReplicaConfig(
            replica=f"r{number}",
            function="f",
            revision=1,
            variant="python",
            root=str(root),
            module="function.py",
            attribute="f",
            models=entries,
            socket=str(self.folder / f"{number}.sock"),
            status=str(self.folder / f"{number}.page"),
            **config,
        )
        self.replicas.append(Replica(self, asked))
        return self.replicas[-1]

    def pid_of(self, replica: str) -> int:
        """Waits for the forkserver's word that a replica has a process."""
        while replica not in self._pids:
            self._next()
        return self._pids[replica]

    def exit_of(self, replica: Replica) -> int:
        """Waits for the forkserver's word that a replica has exited; returns its status."""
        while replica.config.replica not in self._exits:
            self._next()
        return self._exits[replica.config.replica]

    def kill(self, replica: Replica) -> int:
        """Has a replica killed; returns its exit status."""
        self.sock.sendall(pack(Kill(replica.config.replica)))
        return self.exit_of(replica)

    def end_replicas(self) -> None:
        """Ends all replicas, and waits until they have ended."""
        for replica in self.replicas:
            replica.close()
            if replica.config.replica not in self._exits:
                self.kill(replica)
        self.replicas.clear()

    def close(self) -> None:
        for replica in self.replicas:
            replica.close()
        self.sock.close()
        self.process.wait(LIMIT_S)

    def _next(self) -> Any:
        message = self._messages.next()
        assert message is not None, "the forkserver is gone"
        if isinstance(message, Forked):
            self._pids[message.replica] = message.pid
        else:
            assert isinstance(message, Exited), message
            self._exits[message.replica] = message.status
        return message


@contextlib.contextmanager
def running() -> Iterator[Runtime]:
    # Not pytest's tmp_path: the path of a Unix socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="efn") as folder:
        runtime = Runtime(Path(folder))
        try:
            yield runtime
        finally:
            runtime.close()


@pytest.fixture(scope="package")
def _shared_runtime() -> Iterator[Runtime]:
    with running() as shared:
        yield shared


@pytest.fixture
def runtime(_shared_runtime: Runtime) -> Iterator[Runtime]:
    """One forkserver for all tests of this folder; a test's replicas end with it."""
    yield _shared_runtime
    _shared_runtime.end_replicas()


@pytest.fixture
def own_runtime() -> Iterator[Runtime]:
    """A forkserver of its own, to be killed."""
    with running() as own:
        yield own


@pytest.fixture
def gone() -> Any:
    """Waits until processes are gone; fails after two seconds."""

    def wait(*pids: int) -> None:
        fds = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                fds.append(os.pidfd_open(pid))
        for fd in fds:
            assert select.select([fd], [], [], 2.0)[0], "the process outlived two seconds"
            os.close(fd)

    return wait


@pytest.fixture(scope="package")
def scaling_model() -> bytes:
    """An ONNX model that doubles a float32 tensor of shape [n, 4]."""
    return make_scaling_model(2.0)


def make_scaling_model(factor: float) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.float32([factor] * 4), "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
