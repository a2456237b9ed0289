"""Boxes in miniature: a dispatcher, a replica that the test plays, and real links between them."""

import asyncio
import socket
import time
from datetime import UTC, datetime

import pytest

from edgefn.access.authority import Authority
from edgefn.access.identity import Identity
from edgefn.access.tls import PEER_PROTOCOL, fleet_context
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import FunctionRoute, ReplicaRoute, Routes, VariantRoute
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.peer_wire import Greeting
from edgefn.gateway.peers import Peers, Times
from edgefn.gateway.secure_port import SecurePort
from edgefn.routing.table import HERE, Place
from edgefn_runtime.frames import FrameReader, encode_hello, encode_reply
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given
from edgefn_runtime.wire import PROTOCOL, Call, Cancel, Content, Hello, Reply

NOW = datetime.now(UTC).replace(microsecond=0)
SCHEMA = FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=())


async def eventually(holds, within_s=5.0):
    """Returns what `holds` returns as soon as that is true; fails after a time."""
    end_s = time.monotonic() + within_s
    while not (value := holds()):
        assert time.monotonic() < end_s, f"not within {within_s} s"
        await asyncio.sleep(0.005)
    return value


class Replica(asyncio.Protocol):
    """Answers each call with the name of its box and what was called, unless it is `holding`."""

    def __init__(self, box):
        self.box, self.reader = box, FrameReader()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.box.replica = self
        transport.write(encode_hello(Hello(PROTOCOL, f"r-{self.box.name}", "b", "f", 1, "python")))

    def data_received(self, data):
        for frame in self.reader.feed(data):
            if isinstance(frame, Cancel):
                self.box.cancelled.append(frame.id)
            elif isinstance(frame, Call):
                self.box.taken.append(frame)
                if not self.box.holding:
                    self.answer(frame)

    def answer(self, call):
        body = self.box.name.encode() + b":" + call.body
        self.transport.write(
            encode_reply(Reply(call.id, 0, call.accept, 0, 100, 2000, 0, 1, 0, body))
        )


class MiniBox:
    """One box: `serve` gives it the function, `call` calls it."""

    def __init__(self, folder, name, tier, silence_s=5.0):
        self.folder, self.name, self.tier = folder, name, tier
        self.holding, self.taken, self.cancelled, self.told = False, [], [], []
        self.dispatcher = Dispatcher(self.told.append, Place(name=HERE, tier=tier, site=name))
        self.peers = Peers(
            Greeting(box=name, tier=tier, site=name, boot_id="boot"),
            self.dispatcher,
            BodyMemory(1 << 28),
            times=Times(summary_s=0.2, silence_s=silence_s),
        )
        self.version = 0
        self.replica = None
        self.server = None
        self.address = ""

    async def start(self, *addresses):
        """Listens, and dials others."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        path = str(self.folder / f"{self.name}.sock")
        loop = asyncio.get_running_loop()
        self.server = await loop.create_unix_server(lambda: Replica(self), path)
        await self.peers.start(listener, addresses)
        return self

    def serve(self, *, digest="d1", here=True, reserve=0, **spec):
        """Deploys `f`, with a replica here or none that could be."""
        replica = ReplicaRoute(f"r-{self.name}", "python", str(self.folder / f"{self.name}.sock"))
        state = {} if here else {"state": "unavailable", "reason": "not here"}
        route = FunctionRoute(
            name="f",
            revision=1,
            spec=FunctionSpec(name="f", **spec),
            schema=SCHEMA,
            variants=(VariantRoute(variant=as_given({}), **state),),
            default="python",
            replicas=(replica,) if here else (),
            digest=digest,
            reserve=reserve,
        )
        self.update(route)

    def update(self, *functions):
        self.version += 1
        self.dispatcher.update(Routes(self.version, functions))
        self.peers.changed()

    def submit(self, body=b"x", budget_s=5.0, **changes):
        """Sends a call, and returns it."""
        now_s = time.monotonic()
        call = PendingCall(
            function="f",
            read_s=now_s,
            deadline_s=now_s + budget_s,
            give_up_s=now_s + budget_s,
            timeout_s=5.0,
            content=Content.JSON,
            accept=Content.JSON,
            aux=0,
            head=b"",
            answered=asyncio.get_running_loop().create_future(),
            body=body,
            size_bytes=len(body),
            **changes,
        )
        self.dispatcher.submit(call)
        self.dispatcher.alarms.watch(call)
        return call

    async def call(self, body=b"x", **options):
        """Returns the body of the answer to a call."""
        reply = await asyncio.wait_for(self.submit(body, **options).answered, 5.0)
        return reply.body

    def sees(self, box):
        """Whether calls of `f` may go to a peer."""
        return f"{box}/f/python" in self.dispatcher.carriers

    async def aclose(self):
        await self.peers.aclose()
        await self.dispatcher.aclose()
        if self.server is not None:
            self.server.close()


class Fleet:
    """An authority, and files of its certificates."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.authority = folder, Authority.make(NOW)
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.authority.pem)

    def certificate(self, name, *, now=NOW, **holder):
        identity = Identity(**{"kind": "box", "name": name, **holder})
        pair, issued = self.authority.issue_pair(identity, now=now)
        path = self.folder / f"{name}.pem"
        path.write_text(pair)
        return path, issued

    def dial(self, certificate):
        return fleet_context(self.ca, certificate, protocol=PEER_PROTOCOL)


@pytest.fixture
def make_fleet(tmp_path):
    """Makes fleets, each with an authority of its own."""
    return lambda name: Fleet(tmp_path / name)


@pytest.fixture
def fleet(make_fleet):
    """One fleet."""
    return make_fleet("fleet")


@pytest.fixture
async def open_port():
    """Opens a port with TLS for a box, at its `secure_address`, and closes it after the test."""
    ports = []

    def open_one(box, context):
        listener = socket.create_server(("127.0.0.1", 0))
        box.secure_address = f"127.0.0.1:{listener.getsockname()[1]}"
        ports.append(
            SecurePort(listener, context, lambda identity: asyncio.Protocol(), box.peers.accept)
        )
        ports[-1].start()

    yield open_one
    for port in ports:
        port.close()


@pytest.fixture
async def make_box(tmp_path):
    """Makes boxes, and ends them after the test."""
    boxes = []

    def make(name, tier="edge", **options):
        boxes.append(MiniBox(tmp_path, name, tier, **options))
        return boxes[-1]

    yield make
    for box in boxes:
        await box.aclose()


@pytest.fixture
async def pair(make_box):
    """An edge box that cannot serve the function, linked with a cloud box that does."""
    cloud = await make_box("cloud-1", "cloud").start()
    cloud.serve()
    edge = await make_box("edge-1").start(cloud.address)
    edge.serve(here=False)
    await eventually(lambda: edge.sees("cloud-1") and "r-cloud-1" in cloud.dispatcher.carriers)
    return edge, cloud


@pytest.fixture(name="soon")
def soon_fixture():
    """`eventually`, for tests in folders that cannot import it."""
    return eventually
