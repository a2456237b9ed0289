"""The lease socket itself, in this process: who watches, who waits, and who does neither."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from edgefn.box.control_loop import ControlLoop
from edgefn.box.leasing.desk import LeaseDesk
from edgefn.box.leasing.port import LeasePort
from edgefn.box.totals import Totals
from edgefn_runtime.lease_client import AsyncLease, FleetWatch
from edgefn_runtime.lease_words import LeaseLost, NoBox, NotLeased, socket_path
from edgefn_runtime.leasing import SOCKET, FleetNow, Joined

TIMEOUT_S = 10.0


class Fleet:
    """A fleet of which a test says what is known."""

    def __init__(self) -> None:
        self.known = FleetNow(box="b", tier="edge", site="plant")
        self.told: asyncio.Queue[Joined] = asyncio.Queue()
        self._news = asyncio.Event()

    def learn(self, head: str) -> None:
        self.known = msgspec.structs.replace(self.known, head=head)
        self._news.set()

    def now(self) -> FleetNow:
        return self.known

    async def changed(self, known: FleetNow) -> FleetNow:
        while self.known == known:
            self._news.clear()
            await self._news.wait()
        return self.known

    def joined(self, joined: Joined) -> None:
        self.told.put_nowait(joined)


@pytest.fixture
async def port() -> AsyncIterator[tuple[LeasePort, str]]:
    """A port of a box on which nothing is deployed, and where it is."""
    control = ControlLoop(totals=Totals(), publish=lambda routes: None)
    port = LeasePort(LeaseDesk(control))
    with tempfile.TemporaryDirectory(prefix="edgefn-") as folder:
        await port.open(Path(folder))
        yield port, str(Path(folder) / SOCKET)
        await port.aclose()


async def test_a_watcher_learns_every_change(port: tuple[LeasePort, str]) -> None:
    """What is known at once, and again when it is something else."""
    fleet = Fleet()
    port[0].attach(fleet)
    watch = await FleetWatch.connect(port[1])
    async with asyncio.timeout(TIMEOUT_S):
        assert await watch.next() == fleet.known
        fleet.learn("10.0.0.1:6379")
        assert (await watch.next()).head == "10.0.0.1:6379"
        joined = Joined(in_cluster=True, address="10.0.0.2:6379")
        watch.tell(joined)
        assert await fleet.told.get() == joined
        watch.close()
        ended = await fleet.told.get()
    assert not ended.in_cluster
    assert ended.reason


async def test_a_box_that_is_alone_has_no_fleet_to_watch(port: tuple[LeasePort, str]) -> None:
    """And says so."""
    watch = await FleetWatch.connect(port[1])
    with pytest.raises(NotLeased, match="alone"):
        async with asyncio.timeout(TIMEOUT_S):
            await watch.next()
    watch.close()


async def test_only_a_watcher_tells_of_the_cluster(port: tuple[LeasePort, str]) -> None:
    """From anybody else it is nonsense."""
    fleet = Fleet()
    port[0].attach(fleet)
    lease = await AsyncLease.connect(port[1])
    FleetWatch(lease._connection).tell(Joined(in_cluster=True))
    with pytest.raises(LeaseLost):
        await lease.check(TIMEOUT_S)
    assert fleet.told.empty()
    lease.drop()


async def test_a_holder_waits_no_longer_than_it_wants_to(port: tuple[LeasePort, str]) -> None:
    """For a function that the box does not serve yet."""
    async with await AsyncLease.connect(port[1]) as lease:
        with pytest.raises(LeaseLost, match=r"within 0\.05 s"):
            await lease.take("f", "python", holder="a test", timeout_s=0.05)


async def test_a_port_that_closes_ends_its_connections(port: tuple[LeasePort, str]) -> None:
    """Those who wait are told by that, and those who come then find nobody."""
    lease, watch = await AsyncLease.connect(port[1]), await FleetWatch.connect(port[1])
    asking = asyncio.create_task(lease.take("f", "python", holder="a test"))
    with suppress(NotLeased):
        await watch.next()
    await port[0].aclose()
    with pytest.raises(LeaseLost):
        await asking
    watch.close()
    lease.drop()
    with pytest.raises(NoBox, match="edgefn up"):
        await AsyncLease.connect(port[1])


def test_which_box_is_said_by_its_state_directory(tmp_path: Path) -> None:
    """Handed in, or in the environment; without a box on it there is no socket."""
    (tmp_path / "run").write_text("/run/edgefn-1")
    expected = f"/run/edgefn-1/{SOCKET}"
    assert socket_path(tmp_path) == expected
    assert socket_path(environ={"EDGEFN_STATE_DIR": str(tmp_path)}) == expected
    with pytest.raises(NoBox, match="EDGEFN_STATE_DIR"):
        socket_path(environ={})
    with pytest.raises(NoBox, match="no box runs"):
        socket_path(tmp_path / "nothing")
