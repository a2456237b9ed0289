"""The process that serves one function: loads it, listens, answers, drains.

It is forked from the forkserver, which has imported this module already. It may be killed at any
moment, so nothing depends on how it ends: user code's exit handlers are not run.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from edgefn_runtime import codecs
from edgefn_runtime.alert_marks import Marker
from edgefn_runtime.connection import Connection
from edgefn_runtime.errors import ErrorBody, LoadFailed, ProtocolError
from edgefn_runtime.execution import Execution
from edgefn_runtime.frames import encode_hello
from edgefn_runtime.lifecycle import (
    Failed,
    Measure,
    MessageReader,
    Ready,
    ReplicaConfig,
    StatusPage,
    ToBuild,
    ToReplica,
    pack,
)
from edgefn_runtime.loader import load_function, load_models
from edgefn_runtime.measuring import Measuring
from edgefn_runtime.process import become_replica, listen, reseed
from edgefn_runtime.servable import Servable
from edgefn_runtime.serving import ReplicaServer
from edgefn_runtime.tracebacks import describe, traceback_of
from edgefn_runtime.wire import PROTOCOL, Hello


def main(config: ReplicaConfig, *, log_fd: int, lifecycle_fd: int, parent_pid: int) -> int:
    """Is a replica until it has drained; returns the exit code of the process.

    Args:
        config: All that it is told.
        log_fd: The write end of a pipe, for its standard output and error.
        lifecycle_fd: Its end of the lifecycle socket.
        parent_pid: The forkserver's.
    """
    started_s = time.monotonic()
    become_replica(parent_pid=parent_pid, log_fd=log_fd)
    reseed()
    sys.dont_write_bytecode = True  # the bundle stays what was verified
    lifecycle = socket.socket(fileno=lifecycle_fd)
    lifecycle.set_inheritable(False)  # the user's code may start processes
    try:
        os.chdir(config.root)
        servable = load_function(config)
        loading_s = time.monotonic()
        models = load_models(config)
        measuring = Measuring(models, time.monotonic() - loading_s)
        function = None if servable.spec.is_async else servable.prepare(models)
    except BaseException as error:  # the user's module may raise anything, SystemExit included
        _say_failed(lifecycle, config, error)
        return 1
    # A constructor of a coroutine function may want the loop, a plain one asyncio.run.
    replica = _Replica(
        config, servable, lambda: function or servable.prepare(models), lifecycle, started_s,
        measuring,
    )  # fmt: skip
    # Never closed: that would wait for tasks and threads of the user's code that may never end.
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(replica.serve())


class _Replica:
    """A loaded function with the sockets that it is to be served on."""

    def __init__(
        self,
        config: ReplicaConfig,
        servable: Servable,
        prepare: Callable[[], Callable[..., Any]],
        lifecycle: socket.socket,
        started_s: float,
        measuring: Measuring,
    ) -> None:
        self._config = config
        self._servable = servable
        self._prepare = prepare
        self._lifecycle = lifecycle
        self._started_s = started_s
        self._measuring = measuring
        self._boot_id = secrets.token_hex(8)

    async def serve(self) -> int:
        """Serves until told to drain; returns the exit code."""
        loop = asyncio.get_running_loop()
        box = _Box(self._measure)
        try:
            server = self._server(self._prepare())
            listening = listen(self._config.socket)
        except BaseException as error:  # the user's constructor may raise anything
            _say_failed(self._lifecycle, self._config, error)
            return 1
        listener = await loop.create_unix_server(lambda: Connection(server), sock=listening)
        await loop.create_unix_connection(lambda: box, sock=self._lifecycle)
        loop.add_signal_handler(signal.SIGTERM, box.end, True)
        _settle_garbage()
        box.say(self._ready())
        if not await box.drained:
            return 1
        listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._config.socket)
        await server.drain()
        return 0

    def _server(self, function: Callable[..., Any]) -> ReplicaServer:
        config, spec = self._config, self._servable.spec
        hello = Hello(
            PROTOCOL, config.replica, self._boot_id, config.function, config.revision,
            config.variant,
        )  # fmt: skip
        signature = self._servable.signature
        execution = Execution(
            signature,
            codecs,
            batched=spec.batch > 1,
            report=self._report,
            confident=spec.escalate_below is not None,
            marker=Marker(spec.on_result, signature.answers_object) if spec.on_result else None,
        )
        return ReplicaServer(
            encode_hello(hello),
            execution,
            function,
            StatusPage.open(Path(config.status)),
            queue_limit=config.queue_limit,
            max_batch=spec.batch,
            is_async=spec.is_async,
            timeout_s=spec.timeout_s,
        )

    def _ready(self) -> Ready:
        return Ready(
            self._boot_id,
            self._servable.spec,
            self._servable.signature.described if self._config.trial else None,
            time.monotonic() - self._started_s,
        )

    def _measure(self, asked: Measure) -> ToBuild:
        try:
            return self._measuring.measure(asked)
        except Exception as error:  # the model's engine, or the file of inputs
            return Failed(ErrorBody(LoadFailed.code, f"its models do not run: {describe(error)}"))

    def _report(self, request_id: str, error: BaseException) -> None:
        """Writes a failure of the function to the log."""
        text = traceback_of(error, self._config.root)
        sys.stderr.write(f"call {request_id} failed: {text}")


class _Box(asyncio.Protocol):
    """The box, at the other end of the lifecycle socket.

    Attributes:
        drained: Becomes True when the box wants a drain, False when it is gone.
    """

    def __init__(self, measure: Callable[[Measure], ToBuild]) -> None:
        self.drained: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._measure = measure
        self._reader = MessageReader(ToReplica)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def say(self, message: ToBuild) -> None:
        if self._transport is not None:
            self._transport.write(pack(message))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                if isinstance(message, Measure):
                    self.say(self._measure(message))
                else:
                    self.end(True)
        except ProtocolError as error:
            print(f"the box sent what is no message of ours: {error}", file=sys.stderr)
            self.end(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(False)

    def end(self, drain: bool) -> None:
        if not self.drained.done():
            self.drained.set_result(drain)


def _say_failed(lifecycle: socket.socket, config: ReplicaConfig, error: BaseException) -> None:
    if isinstance(error, LoadFailed):
        text, reason = "", error.message
    else:
        text = traceback_of(error, config.root)
        reason = f"{config.module} does not load: {describe(error)}"
    with contextlib.suppress(OSError):  # the box, or its log, may be gone
        print(text or reason, file=sys.stderr)
        lifecycle.setblocking(True)
        failed = Failed(ErrorBody(LoadFailed.code, reason), text)
        lifecycle.sendall(pack(failed))


def _settle_garbage() -> None:
    """Takes all that was loaded out of the collector's sight, and lets it run more rarely."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
