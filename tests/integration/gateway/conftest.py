"""A real gateway process between a box and replicas that are played by the test."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefn.gateway.control import (
    Answered,
    Ask,
    FromGateway,
    FunctionRoute,
    GatewayConfig,
    ReplicaRoute,
    Report,
    Routed,
    Routes,
    Started,
    StopAccepting,
    VariantRoute,
)
from edgefn_runtime.errors import ErrorBody
from edgefn_runtime.frames import FrameReader, encode_hello, encode_reply
from edgefn_runtime.lifecycle import MessageReader, pack
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec, Scale, V2Tensor
from edgefn_runtime.variant import Variant
from edgefn_runtime.wire import (
    PROTOCOL,
    Call,
    CallHead,
    Cancel,
    Hello,
    Outcome,
    Reply,
    pack_confidence,
)

_OBJECT = {
    "type": "object",
    "properties": {"x": {"$ref": "#/$defs/Number"}},
    "required": ["x"],
    "$defs": {"Number": {"type": "number"}},
}


class FakeReplica(asyncio.Protocol):
    """Answers a call with its own body, unless the body is JSON that says what else to `do`."""

    def __init__(self, owner: "Site", name: str, function: str) -> None:
        self.owner, self.name, self.function = owner, name, function
        self.reader = FrameReader()
        self.calls: list[Call] = []
        self.cancelled: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(encode_hello(Hello(PROTOCOL, self.name, "boot", self.function, 1, "onnx")))

    def data_received(self, data: bytes) -> None:
        for frame in self.reader.feed(data):
            if isinstance(frame, Cancel):
                self.cancelled.append(frame.id)
            elif isinstance(frame, Call):
                self.calls.append(frame)
                self.act(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def act(self, call: Call) -> None:
        order = {}
        if call.body.startswith(b'{"do"'):
            order = json.loads(call.body)
        what = order.get("do")
        if what == "silence":
            return
        if what == "stall":
            self.transport.pause_reading()
        elif what == "die":
            self.transport.abort()
        elif what == "garble":
            self.transport.write(b"\x05\x00\x00\x00\xee....")
        elif what == "fail":
            error = ErrorBody(order["code"], "the replica says no", {"why": "a test"})
            self.answer(call, Outcome.ERROR, msgspec.msgpack.encode(error))
        elif what == "late":
            took_us = int(order["s"] * 1e6)
            told = (call, Outcome.RESULT, b'"late"', 0, took_us)
            self.owner.loop.call_later(order["s"], self.answer, *told)
        elif what == "doubt":
            body = json.dumps([self.name]).encode()
            self.answer(call, Outcome.RESULT, body, confidence=pack_confidence(order[self.name]))
        elif what == "refuse once" and self.owner.is_new(call.body):
            error = ErrorBody("queue_full", "the replica is full")
            self.answer(call, Outcome.ERROR, msgspec.msgpack.encode(error), batch=0)
        elif what == "die once" and self.owner.is_new(call.body):
            self.transport.abort()
        elif what == "head":
            head = msgspec.to_builtins(msgspec.msgpack.decode(call.head, type=CallHead))
            self.answer(call, Outcome.RESULT, json.dumps([call.content, head]).encode())
        elif b'"inputs"' in call.body:
            self.infer(call)
        else:
            self.answer(call, Outcome.RESULT, call.body)

    def infer(self, call: Call) -> None:
        """Answers in the Open Inference Protocol, with the inputs as outputs."""
        head = json.loads(call.body[: call.aux] if call.aux else call.body)
        data = call.body[call.aux :] if call.aux else b""
        answer = json.dumps({"model_name": self.function, "outputs": head["inputs"]}).encode()
        self.answer(call, Outcome.RESULT, answer + data, aux=len(answer) if data else 0)

    def answer(
        self,
        call: Call,
        outcome: int,
        body: bytes,
        aux: int = 0,
        service_us: int = 2000,
        **told: int,
    ) -> None:
        if self.transport is not None:
            reply = Reply(call.id, outcome, call.accept, aux, 100, service_us, 0, 1, 0, body)
            for name, value in told.items():
                setattr(reply, name, value)
            self.transport.write(encode_reply(reply))


class Site:
    """A gateway process, with a fake box and fake replicas on a thread of the test's process."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self.messages: list[FromGateway] = []
        self.said = threading.Condition()
        self.asks: list[Ask] = []
        self.bodies: set[bytes] = set()
        self.answer_ask: Callable[[Ask], Answered | None] = lambda ask: Answered(
            ask.id, 200, b'{"asked":true}'
        )
        self.replicas: dict[str, FakeReplica] = {}
        self.servers: dict[str, asyncio.Server] = {}
        self.version = 0
        self.sockets = 0
        self.usual = False
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        ours, theirs = socket.socketpair()
        settings = GatewayConfig(
            gateway=0,
            box="box1",
            tier="edge",
            listen_fd=listener.fileno(),
            control_fd=theirs.fileno(),
            store=str(folder / "blobs"),
            **config,
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgefn.gateway", msgspec.json.encode(settings).decode()],
            pass_fds=[
                fd for fd in (listener.fileno(), theirs.fileno(), settings.secure_fd) if fd >= 0
            ],
        )
        listener.close()
        theirs.close()
        self.box = self.run(self._connect(ours))

    def is_new(self, body: bytes) -> bool:
        """Whether no replica had a call with this body before."""
        known = body in self.bodies
        self.bodies.add(body)
        return not known

    def run(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(10)

    async def _connect(self, ours: socket.socket) -> asyncio.Transport:
        reader = MessageReader(FromGateway)
        site = self

        class Box(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                for message in reader.feed(data):
                    site.hear(message)

        transport, _ = await self.loop.create_unix_connection(Box, sock=ours)
        return transport

    def hear(self, message: FromGateway) -> None:
        """Notes the message before it is answered: a test goes on as soon as it has the answer."""
        with self.said:
            self.messages.append(message)
            self.said.notify_all()
        if isinstance(message, Ask):
            self.asks.append(message)
            answer = self.answer_ask(message)
            if answer is not None:
                self.box.write(pack(answer))

    def heard(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    def wait_until(self, true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        until = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < until, f"not in {timeout_s} s; heard {self.messages}"
            with self.said:
                self.said.wait(0.01)

    def wait_for(self, kind: type, check: Callable[[Any], bool] = lambda message: True) -> Any:
        self.wait_until(lambda: any(check(message) for message in self.heard(kind)))
        return next(message for message in self.heard(kind) if check(message))

    def start_replica(
        self, name: str, function: str = "echo", variant: str = "onnx"
    ) -> ReplicaRoute:
        self.sockets += 1
        path = self.folder / f"{self.sockets}.sock"

        def connected() -> FakeReplica:
            self.replicas[name] = FakeReplica(self, name, function)
            return self.replicas[name]

        self.servers[name] = self.run(self.loop.create_unix_server(connected, str(path)))
        return ReplicaRoute(name, variant, str(path))

    def stop_replica(self, name: str) -> None:
        async def stop() -> None:
            self.servers[name].close()
            self.replicas[name].transport.abort()

        self.run(stop())

    def route(self, *functions: FunctionRoute) -> None:
        """Sends routes, and waits until they are followed and all replicas are connected."""
        self.version += 1
        version = self.version
        self.loop.call_soon_threadsafe(self.box.write, pack(Routes(version, functions)))
        self.wait_for(Routed, lambda routed: routed.version == version)
        wanted = {replica.replica for one in functions for replica in one.replicas}
        self.wait_until(lambda: wanted <= self.replicas.keys())
        self.wait_until(lambda: wanted <= self.in_reports())

    def route_usual(self) -> None:
        """Deploys `echo` with one replica, `r1`, unless that is so already."""
        if not self.usual:
            self.reset()
            replica = self.start_replica("r1")
            self.route(make_function(replica, schema={"media_types": ("audio/wav",)}))
            self.usual = True

    def reset(self) -> None:
        """Removes all functions and replicas, and forgets what was said."""
        self.usual = False
        self.route()
        self.run(self._end_replicas())
        self.replicas.clear()
        self.servers.clear()
        with self.said:
            self.messages.clear()
        self.asks.clear()

    async def _end_replicas(self) -> None:
        for server in self.servers.values():
            server.close()
        for replica in self.replicas.values():
            if replica.transport is not None:
                replica.transport.abort()

    def in_reports(self) -> set[str]:
        self.request("GET", "/metrics")
        reports = self.heard(Report)
        known: set[str] = set()
        for report in reports:
            for function in report.functions:
                known |= function.replicas.keys()
        return known

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def call(
        self, body: Any, *, function: str = "echo", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Calls a function with JSON; returns status, headers and the decoded answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answered, payload = self.request(
            "POST", f"/v1/functions/{function}", data, {"Content-Type": "application/json", **named}
        )
        return status, answered, json.loads(payload)

    def raw(self, data: bytes, timeout_s: float = 5.0) -> bytes:
        """Sends bytes, and returns all that comes until the gateway hangs up or says no more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
            return read_all(sock)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.box.write, pack(StopAccepting()))

    def close(self) -> None:
        async def end() -> None:
            self.box.close()
            await self._end_replicas()

        self.run(end())
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait(10)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)
            self.loop.close()


def read_all(sock: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError, TimeoutError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def make_function(*replicas: ReplicaRoute, name: str = "echo", **changes: Any) -> FunctionRoute:
    spec = {"scale": Scale(min=0), **changes.pop("spec", {})}
    schema = {"media_types": (), **changes.pop("schema", {})}
    variant = Variant(name="onnx", backend="onnx")
    only = VariantRoute(
        variant=variant,
        state="quarantined" if changes.get("state") == "quarantined" else "available",
        reason=changes.get("reason", ""),
        load_s=changes.pop("load_s", 0.0),
    )
    return FunctionRoute(
        name=name,
        revision=changes.pop("revision", 1),
        spec=FunctionSpec(name=name, doc="Answers what it is asked.", **spec),
        schema=FunctionSchema(
            input=_OBJECT,
            output={"type": "number"},
            v2_inputs=(V2Tensor("x", "FP32", (2,)),),
            v2_outputs=(V2Tensor("x", "FP32", (2,)),),
            **schema,
        ),
        variants=changes.pop("variants", (only,)),
        default=changes.pop("default", "onnx"),
        replicas=replicas,
        **changes,
    )


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One gateway for a whole module."""
    one = Site(tmp_path_factory.mktemp("site"), header_timeout_s=0.5, body_timeout_s=0.5)
    try:
        one.wait_for(Started)
        yield one
    finally:
        one.close()


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The module's gateway, with one function of one replica."""
    shared_site.route_usual()
    return shared_site


@pytest.fixture
def empty_site(shared_site: Site) -> Site:
    """The module's gateway, with nothing deployed."""
    shared_site.reset()
    return shared_site


@pytest.fixture(scope="module")
def make_site() -> Iterator[Callable[..., Site]]:
    """Starts gateways for a whole module, and ends them after it."""
    sites: list[Site] = []

    def start(folder: Path, **config: Any) -> Site:
        sites.append(Site(folder, **config))
        sites[-1].wait_for(Started)
        return sites[-1]

    yield start
    for one in sites:
        one.close()


@pytest.fixture
def start_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts gateways of a test's own, and ends them after it."""
    sites: list[Site] = []

    def start(**config: Any) -> Site:
        folder = tmp_path / str(len(sites))
        folder.mkdir()
        sites.append(Site(folder, **config))
        sites[-1].wait_for(Started)
        return sites[-1]

    yield start
    for one in sites:
        one.close()


@pytest.fixture(scope="session")
def function_route() -> Callable[..., FunctionRoute]:
    """Makes routes of functions."""
    return make_function
