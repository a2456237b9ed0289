"""Boxes that only hand out leases, so that what Ray does with them can be tested without the rest.

A fake box listens where a real one does and speaks its protocol. It takes note of who holds a lease
(a process, told by the kernel), who gave one back and whose connection just ended.
"""

import asyncio
import importlib.util
import os
import socket
import struct
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec
import pytest
import pytest_asyncio

from edgefn_runtime.lease_words import STATE_DIR
from edgefn_runtime.leasing import (
    LENGTH,
    SOCKET,
    FleetNow,
    GiveBack,
    GivenBack,
    Joined,
    LeaseRefused,
    LeaseState,
    LeaseTaken,
    Pool,
    TakeLease,
    ToBox,
    Watch,
    encode,
)

_PEER_CREDENTIALS = struct.Struct("3i")

# What Ray is told so that a test need not wait a minute for it to give up its head.
IMPATIENT = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}

if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["test_*.py"]


@dataclass(frozen=True)
class Holder:
    """A lease as a fake box sees it."""

    function: str
    variant: str
    name: str
    pid: int


@dataclass(eq=False)
class FakeBox:
    """A box that hands out leases and tells of a fleet."""

    now: FleetNow
    folder: Path
    held: dict[int, Holder] = field(default_factory=dict)
    given_back: list[Holder] = field(default_factory=list)
    lost: list[Holder] = field(default_factory=list)
    unwell: set[str] = field(default_factory=set)
    refused: str = ""
    refusals: int = 0
    joined: Joined | None = None
    sessions: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.changed = asyncio.Condition()
        self._numbers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state_dir(self) -> Path:
        """Where its note of the run directory is."""
        return self.folder / "state"

    async def start(self) -> Self:
        """Listens."""
        self.state_dir.mkdir(exist_ok=True)
        (self.folder / "run").mkdir(exist_ok=True)
        (self.state_dir / "run").write_text(str(self.folder / "run"))
        self._server = await asyncio.start_unix_server(
            self._connected, str(self.folder / "run" / SOCKET)
        )
        return self

    async def stop(self) -> None:
        """Ends the socket and all that was connected to it."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        (self.state_dir / "run").unlink()

    async def tell(self, **changes: object) -> None:
        """Changes what it knows of the fleet."""
        self.now = msgspec.structs.replace(self.now, **changes)
        await self._notify()

    async def want(self, *pools: Pool) -> None:
        """Changes the pools of a hub."""
        await self.tell(pools=pools)

    async def until(self, what: Callable[[Self], object], timeout_s: float = 90.0) -> None:
        """Waits for a condition, and says what there is if it does not come."""
        try:
            async with asyncio.timeout(timeout_s), self.changed:
                await self.changed.wait_for(lambda: what(self))
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s:g} s: {self!r}") from None

    def holders(self, function: str) -> Counter[str]:
        """Returns how many leases of each variant are held."""
        return Counter(h.variant for h in self.held.values() if h.function == function)

    def pids(self, function: str) -> set[int]:
        """Returns the processes that hold leases of a function."""
        return {holder.pid for holder in self.held.values() if holder.function == function}

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            first = await _receive(reader)
            if isinstance(first, Watch):
                await self._watched(reader, writer)
            elif isinstance(first, TakeLease):
                await self._leased(first, reader, writer)
        except (asyncio.CancelledError, EOFError, OSError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _watched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def hear() -> None:
            while True:
                said = await _receive(reader)
                assert isinstance(said, Joined)
                self.joined = said
                await self._notify()

        hearing = asyncio.create_task(hear())
        hearing.add_done_callback(lambda _: writer.close())
        known = None
        try:
            async with self.changed:
                while not writer.is_closing():
                    if known != self.now:
                        known = self.now
                        writer.write(encode(known))
                    await self.changed.wait()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _leased(
        self, asked: TakeLease, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.refused:
            self.refusals += 1
            await self._notify()
            writer.write(encode(LeaseRefused("unavailable", self.refused)))
            await _receive(reader)
            return
        pid = _pid_of(writer)
        holder = Holder(asked.function, asked.variant, asked.holder, pid)
        self._numbers += 1
        number = self._numbers
        self.held[number] = holder
        try:
            writer.write(encode(LeaseTaken(number, f"r{number}", pid, adopted=False)))
            await self._notify()
            while not isinstance(await _receive(reader), GiveBack):
                healthy = holder.name not in self.unwell
                writer.write(encode(LeaseState(healthy, "" if healthy else "it is unwell")))
            self.given_back.append(self.held.pop(number))
            writer.write(encode(GivenBack()))
        finally:
            if number in self.held:
                self.lost.append(self.held.pop(number))
            await self._notify()


async def _receive(reader: asyncio.StreamReader) -> ToBox:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return msgspec.msgpack.decode(await reader.readexactly(length), type=ToBox)


def _pid_of(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    return int(_PEER_CREDENTIALS.unpack(packed)[0])


def companion_of(box: FakeBox, host: str = "127.0.0.1") -> Awaitable[Process]:
    """Starts the companion of a fake box, as a real one does."""
    return asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "edgefn.fleet", "--host", host,
        env={**os.environ, **IMPATIENT, STATE_DIR: str(box.state_dir)}, start_new_session=True,
    )  # fmt: skip


def processes_of(box: FakeBox) -> dict[int, str]:
    """Returns the processes that were started for a box, and their titles.

    They are known by their environment, or, as some of Ray's write their title over it, by the
    session that they are in.
    """
    mark = f"{STATE_DIR}={box.state_dir}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                session = os.getsid(int(folder.name))
                marked = mark in (folder / "environ").read_bytes().split(b"\0")
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                if marked and "edgefn.fleet.start_ray" in title:
                    box.sessions.add(session)
                if title and (marked or session in box.sessions):
                    found[int(folder.name)] = title
    return found


async def until_gone(box: FakeBox, timeout_s: float = 20.0) -> None:
    """Waits until nothing runs that was started for a box."""
    try:
        async with asyncio.timeout(timeout_s):
            while processes_of(box):  # noqa: ASYNC110 - nothing tells of the end of others
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"left behind: {processes_of(box)}") from None


class Cluster:
    """A hub and a box at the edge, each with its companion, in one Ray cluster on loopback."""

    titles = staticmethod(processes_of)
    until_gone = staticmethod(until_gone)

    @staticmethod
    def pool(variant: str, count: int, tier: str = "edge", site: str = "plant-1") -> Pool:
        """Returns a pool of the function that the tests speak of."""
        return Pool(function="voice", variant=variant, tier=tier, site=site, count=count)

    @staticmethod
    def pid(box: FakeBox, title: str) -> int:
        """Returns the one process of a box that has this in its title."""
        (pid,) = (pid for pid, found in processes_of(box).items() if title in found)
        return pid

    def __init__(self, hub: FakeBox, edge: FakeBox) -> None:
        self.hub = hub
        self.edge = edge
        self.companions: list[Process] = []

    async def start(self) -> None:
        """Starts both, and returns when both machines are in the cluster."""
        for box in (self.hub, self.edge):
            self.companions.append(await companion_of(await box.start()))
        await self.meet()

    async def meet(self) -> None:
        """Tells the edge where the head is, as a hub does, and waits until it is there, too."""
        await self.hub.until(lambda hub: hub.joined is not None and hub.joined.in_cluster)
        joined = self.hub.joined
        assert joined is not None
        await self.edge.tell(head=joined.address, token=joined.token)
        await self.edge.until(lambda edge: edge.joined is not None and edge.joined.in_cluster)

    async def stop(self) -> None:
        """Ends all, and waits until nothing is left."""
        for box in (self.hub, self.edge):
            processes_of(box)  # it learns their sessions
        for companion in self.companions:
            if companion.returncode is None:
                companion.terminate()
        for companion in self.companions:
            await companion.wait()
        for box in (self.hub, self.edge):
            await until_gone(box)
            await box.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """One for all tests of a module."""
    folder = tmp_path_factory.mktemp("c")
    boxes = []
    for name, tier, site in (("hub", "cloud", ""), ("edge", "edge", "plant-1")):
        (folder / name).mkdir()
        now = FleetNow(box=name, tier=tier, site=site, is_hub=name == "hub")
        boxes.append(FakeBox(now, folder / name))
    cluster = Cluster(*boxes)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
