"""The outbox as the box sees it: couriers come and go, and what is wrong is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.box.outbox.database import AlertKey, Database
from edgefn.box.outbox.event import MAX_DATA_BYTES, NewEvent, encode_data
from edgefn.box.outbox.outbox import MAX_EVENTS, TAIL, Outbox
from edgefn.errors import InvalidInput


def event(name: str = "a", source: str = "", data: object = 1) -> NewEvent:
    """An event for a file."""
    return NewEvent(to=(f"file:{name}",), source=source, data=encode_data(data))


async def drained(outbox: Outbox) -> None:
    """Returns when nothing waits."""
    while any(each["waiting"] for each in await outbox.status()):  # noqa: ASYNC110
        await asyncio.sleep(0.005)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    """An open one."""
    opened = await Outbox.open(tmp_path / "outbox.db", tmp_path / "events", "box")
    yield opened
    await opened.aclose()


async def test_there_are_no_more_couriers_than_there_is_work_for(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have nothing to do make room, and come back when there is."""
    monkeypatch.setattr("edgefn.box.outbox.outbox.MAX_COURIERS", 3)
    for turn in range(2):
        for number in range(10):
            await outbox.put([event(str(number), data=turn)])
            await drained(outbox)
    assert len(outbox.counts()) <= 4
    for number in range(10):
        assert len((tmp_path / "events" / str(number)).read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "0 events at a time"),
        ([event()] * (MAX_EVENTS + 1), "events at a time"),
        ([event(), event("../b")], "plain relative path"),
        ([NewEvent(to=(), data=encode_data(1))], "one or more different"),
        ([NewEvent(to=("file:a", "file:a"), data=encode_data(1))], "one or more different"),
        ([event(source="x" * 101)], "a source is printable"),
        ([event(source="a\nb")], "a source is printable"),
        ([event(data="x" * MAX_DATA_BYTES)], "bytes of data; at most"),
    ],
)
async def test_what_is_wrong_is_refused_as_a_whole(
    outbox: Outbox, events: list[NewEvent], message: str
) -> None:
    """And nothing of it is stored."""
    with pytest.raises(InvalidInput, match=message):
        await outbox.put(events)
    assert outbox.tail(None, 9) == []


async def test_the_tail_can_be_followed(outbox: Outbox) -> None:
    """By number, and only for a while."""
    for number in range(5):
        await outbox.put([event(data=number)])
    assert [each.number for each in outbox.tail(None, 2)] == [4, 5]
    assert [each.number for each in outbox.tail(2, 2)] == [3, 4]
    await outbox.put([event() for _ in range(TAIL)])
    assert len(outbox.tail(0, 1000)) == TAIL


async def test_an_alert_and_its_event_are_stored_together(tmp_path: Path) -> None:
    """Both are there when the box starts again, or neither."""
    folder = tmp_path / "events"
    first = await Outbox.open(tmp_path / "outbox.db", folder, "box")
    key = AlertKey("f", "alert", "s")
    await first.put([event(source="s")], (key, True))
    with pytest.raises(InvalidInput):
        await first.put([event("..")], (AlertKey("f", "alert", "t"), True))
    await first.aclose()
    second = await Outbox.open(tmp_path / "outbox.db", folder, "box")
    assert second.raised() == [key]
    await second.aclose()


async def test_a_destination_of_a_newer_edgefn_does_not_keep_the_box_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its events wait; the others are delivered."""
    database = Database(tmp_path / "outbox.db")
    database.begin()
    unknown = NewEvent(to=("pigeon:loft",), data=encode_data(1))
    database.put([unknown, event()], 0.0)
    database.commit()
    database.close()
    outbox = await Outbox.open(tmp_path / "outbox.db", tmp_path / "events", "box")
    while not (tmp_path / "events" / "a").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    waiting = {each["to"]: each["waiting"] for each in await outbox.status()}
    assert waiting["pigeon:loft"] == 1
    assert "is no destination" in caplog.text
    await outbox.aclose()
