"""The numbers of what a fleet should serve: over changes, restarts and copies of the disk."""

import asyncio
import shutil
import sqlite3
from contextlib import asynccontextmanager

import msgspec
import pytest

from edgefn.box.hub import desired as module
from edgefn.box.hub.desired import Desired
from edgefn.box.hub.memory import HubMemory
from edgefn.desired.state import DesiredState, RayHead, Unchanged, Upstream
from edgefn.errors import ConfigError
from edgefn.gateway.errors import Unavailable

WAIT_S = 30.0  # longer than any test: who waits is woken, or the test fails


def content(*trusted, **fields):
    return DesiredState(epoch="", revision=0, trusted=trusted, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hub.db"


@asynccontextmanager
async def opened(path):
    desired = await Desired.open(path)
    try:
        yield desired
    finally:
        await desired.aclose()


@pytest.fixture
async def desired(path):
    async with opened(path) as one:
        yield one


async def pulled(desired, box="a", epoch="", revision=0, wait_s=0.0, digest=""):
    """Returns the state that a box is told, or None if it is told that nothing changed."""
    reply = await desired.pull(box, epoch, revision, wait_s, digest=digest)
    if reply == msgspec.json.encode(Unchanged()):
        return None
    return msgspec.json.decode(reply, type=DesiredState)


async def waiting(desired, state, box="a"):
    """Returns a task that waits for something else than a state."""
    task = asyncio.create_task(pulled(desired, box, state.epoch, state.revision, wait_s=WAIT_S))
    for _ in range(100):
        await asyncio.sleep(0)
        if box in desired._waiting:
            break
    return task


async def test_each_change_has_the_next_number(desired):
    """And what is wanted once more has the number that it has."""
    numbers = []
    for wanted in ("a", "a", "b", "a"):
        await desired.want(content(wanted))
        state = await pulled(desired)
        numbers.append((state.revision, state.trusted))
    assert numbers == [(1, ("a",)), (1, ("a",)), (2, ("b",)), (3, ("a",))]
    assert len(state.epoch) == 16


async def test_a_restarted_hub_goes_on_with_its_number(path):
    """The next change has the next one, and nothing changed by itself."""
    ray = RayHead(address="h:6379", token="t")
    upstreams = (Upstream(box="b", tier="cloud", address="b:1"),)
    async with opened(path) as desired:
        await desired.want(content("a", ray=ray, upstreams=upstreams))
        before = await pulled(desired)
    async with opened(path) as desired:
        assert (desired.told.ray, desired.told.upstreams) == (ray, upstreams)
        await desired.want(content("a", ray=ray, upstreams=upstreams))
        assert await pulled(desired) == before
        assert await pulled(desired, epoch=before.epoch, revision=1) is None
        await desired.want(content("b"))
        after = await pulled(desired, epoch=before.epoch, revision=1)
    assert (after.epoch, after.revision) == (before.epoch, 2)


async def test_a_number_is_on_the_disk_before_it_is_told(path, desired, monkeypatch):
    """If it cannot be, nobody hears of it, and what was told before is told still."""
    await desired.want(content("a"))
    before = await pulled(desired)

    def fail(memory, told):
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(HubMemory, "write", fail)
    with pytest.raises(sqlite3.OperationalError):
        await desired.want(content("b"))
    assert await pulled(desired) == before
    monkeypatch.undo()
    waits = await waiting(desired, before)
    await desired.want(content("b"))
    told = await waits
    other = sqlite3.connect(path)
    assert other.execute("SELECT epoch, revision FROM told").fetchone() == (told.epoch, 2)
    other.close()


async def test_who_waits_is_told_at_once(desired):
    """All of them."""
    await desired.want(content("a"))
    state = await pulled(desired)
    tasks = [await waiting(desired, state, box) for box in "abc"]
    await desired.want(content("b"))
    assert {(await task).revision for task in tasks} == {2}
    assert not desired._waiting


async def test_who_waits_in_vain_is_told_that_nothing_changed(desired):
    """After the time that it said."""
    await desired.want(content("a"))
    state = await pulled(desired)
    assert await pulled(desired, "a", state.epoch, 1, wait_s=0.01) is None
    assert not desired._waiting


async def test_a_box_waits_once(desired):
    """Connections that broke while it waited do not add up."""
    await desired.want(content("a"))
    state = await pulled(desired)
    first = await waiting(desired, state)
    other = await waiting(desired, state, "b")
    second = asyncio.create_task(pulled(desired, "a", state.epoch, 1, wait_s=WAIT_S))
    assert await first is None
    assert not other.done() and not second.done()
    await desired.want(content("b"))
    assert (await second).revision == (await other).revision == 2


async def test_a_hub_that_ends_keeps_nobody_waiting(desired):
    """They hear that it ends, so that they do not ask again at once."""
    await desired.want(content("a"))
    waits = await waiting(desired, await pulled(desired))
    desired.release()
    with pytest.raises(Unavailable, match="about to end"):
        await waits
    with pytest.raises(Unavailable, match="about to end"):
        await pulled(desired)


async def test_a_box_of_another_epoch_is_told_everything(desired):
    """Whatever its revision."""
    await desired.want(content("a"))
    assert (await pulled(desired, epoch="other", revision=99)).revision == 1


async def test_a_hub_restored_from_an_older_copy_begins_a_new_epoch(path, tmp_path):
    """Else a box would take its next change for the one that the lost disk had under its number."""
    copy = tmp_path / "copy.db"
    async with opened(path) as desired:
        await desired.want(content("a"))
    shutil.copy(path, copy)
    async with opened(path) as desired:
        await desired.want(content("lost"))
        known = await pulled(desired)
    async with opened(copy) as desired:
        await desired.want(content("a"))
        told = await pulled(desired, epoch=known.epoch, revision=known.revision)
        assert told.epoch != known.epoch
        assert (told.revision, told.trusted) == (1, ("a",))
        again = await pulled(desired, "b", known.epoch, known.revision)
        assert again == told  # one new epoch, not one for each box
    async with opened(copy) as desired:
        await desired.want(content("a"))
        assert await pulled(desired, epoch=told.epoch, revision=1) is None


async def test_a_number_that_a_restored_hub_gave_again_is_told_from_the_lost_one(path, tmp_path):
    """A box that was away meanwhile has heard of that number, too, and of other content."""
    copy = tmp_path / "copy.db"
    async with opened(path) as desired:
        await desired.want(content("a"))
    shutil.copy(path, copy)
    async with opened(path) as desired:
        await desired.want(content("lost"))
        known = await pulled(desired)
        same = await pulled(desired, "a", known.epoch, known.revision, digest=known.digest)
        assert same is None
    async with opened(copy) as desired:
        await desired.want(content("new"))
        told = await pulled(desired, "a", known.epoch, known.revision, digest=known.digest)
        assert (told.trusted, told.epoch != known.epoch) == (("new",), True)


async def test_what_is_not_known_yet_is_not_told(desired):
    """As when the disk fails from the start."""
    with pytest.raises(Unavailable, match="cannot write"):
        await pulled(desired)


async def test_what_is_too_large_to_tell_is_said_to_be(desired, monkeypatch):
    """And breaks nothing."""
    await desired.want(content("a" * 100))
    monkeypatch.setattr(module, "MAX_STATE_BYTES", 100)
    with pytest.raises(Unavailable, match="at most 100"):
        await pulled(desired)


async def test_the_file_is_its_owners_alone(path, desired):
    """It has the token of the Ray cluster."""
    await desired.want(content("a", ray=RayHead(address="h", token="t")))
    assert {one.stat().st_mode & 0o777 for one in path.parent.glob("hub.db*")} == {0o600}


async def test_a_damaged_file_is_a_sentence(path):
    """What to do is in it."""
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(ConfigError, match="restore the file, or move it away"):
        await Desired.open(path)
