"""Ten thousand events through flaps, a cut, and flaps again; `make test-long` takes ten minutes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.box.outbox.backoff import Backoff
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.box.outbox.outbox import Outbox

LONG = bool(os.environ.get("TEST_LONG"))
CUT_S, FLAP_S = (600.0, 5.0) if LONG else (1.0, 0.1)
BACKOFF = Backoff() if LONG else Backoff(first_s=0.02, longest_s=0.2)
FLAPS = ("up", "down", "deaf", "up", 503, "deaf", "up", "down")
EVENTS = 10_000
SOURCES = 20


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns as soon as that is true."""
    while not await holds():  # noqa: ASYNC110  # what it looks at is another thread's
        await asyncio.sleep(0.02)


class Line:
    """An outbox, which a test may end and begin anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outbox: Outbox | None = None
        self._up = asyncio.Event()

    async def begin(self) -> None:
        """Opens the outbox."""
        self._outbox = await Outbox.open(
            self._folder / "outbox.db", self._folder / "events", "box", backoff=BACKOFF
        )
        self._up.set()

    async def end(self) -> None:
        """Closes the outbox; puts wait from now on."""
        self._up.clear()
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            await asyncio.sleep(0)
            await outbox.aclose()

    async def put(self, event: NewEvent) -> str:
        """Returns the id of an event once it is acknowledged."""
        await self._up.wait()
        assert self._outbox is not None
        (event_id,) = await self._outbox.put([event])
        return event_id

    async def is_empty(self) -> bool:
        """Whether nothing waits."""
        assert self._outbox is not None
        return not any(each["waiting"] for each in await self._outbox.status())


async def put_all(line: Line, destination: str, pace_s: float) -> list[str]:
    """Puts the events, so many sources at once, each one's in order; returns the ids."""

    async def of_source(source: int) -> list[str]:
        ids = []
        for number in range(EVENTS // SOURCES):
            data = encode_data([source, number])
            event = NewEvent(to=(destination,), source=f"s{source}", data=data)
            ids.append(await line.put(event))
            await asyncio.sleep(pace_s)
        return ids

    found = await asyncio.gather(*(of_source(source) for source in range(SOURCES)))
    return [one for ids in found for one in ids]


async def play(line: Line, switch: Callable[[Any], None]) -> None:
    """Flaps, cut with a restart in the middle, flaps."""
    for mode in FLAPS:
        switch(mode)
        await asyncio.sleep(FLAP_S)
    switch("down")
    await asyncio.sleep(CUT_S / 2)
    await line.end()
    await line.begin()
    await asyncio.sleep(CUT_S / 2)
    for mode in FLAPS:
        switch(mode)
        await asyncio.sleep(FLAP_S)
    switch("up")


@pytest.mark.timeout(900)
async def test_every_acknowledged_event_arrives_once_and_in_order(
    tmp_path: Path, receiver: Any
) -> None:
    """The receiver drops what comes again by source and number; nothing is missing or early."""

    def switch(mode: Any) -> None:
        receiver.mode = mode

    line = Line(tmp_path)
    await line.begin()
    duration_s = 2 * len(FLAPS) * FLAP_S + CUT_S
    _, ids = await asyncio.gather(
        play(line, switch),
        put_all(line, receiver.destination, duration_s / (EVENTS / SOURCES) / 2),
    )
    await until(line.is_empty)
    await line.end()
    applied = receiver.ledger.applied
    assert len(ids) == EVENTS
    assert {event["id"] for event in applied} == set(ids)
    assert len(applied) == EVENTS
    assert receiver.ledger.repeated > 0, "no answer was lost: the test tests less than it should"
    for source in range(SOURCES):
        numbers = [event["data"][1] for event in applied if event["source"] == f"s{source}"]
        assert numbers == list(range(EVENTS // SOURCES))


async def test_a_real_broker_gets_every_event_though_it_restarts(
    tmp_path: Path, broker: Any
) -> None:
    """MQTT with QoS 1: an event is delivered when the broker has acknowledged it."""
    outbox = await Outbox.open(
        tmp_path / "outbox.db", tmp_path / "events", "box", backoff=Backoff(first_s=0.05)
    )
    to = f"mqtt://127.0.0.1:{broker.port}/plant/alerts"

    async def put(numbers: range) -> None:
        await outbox.put(
            [NewEvent(to=(to,), source="press", data=encode_data(number)) for number in numbers]
        )

    async def applied(count: int) -> None:
        async def holds() -> bool:
            return len(broker.ledger.applied) >= count

        await until(holds)

    async def fails() -> bool:
        return any(each["last_error"] for each in await outbox.status())

    async def is_empty() -> bool:
        return not any(each["waiting"] for each in await outbox.status())

    await put(range(500))
    await applied(500)
    await asyncio.to_thread(broker.stop)
    await put(range(500, 1000))
    await until(fails)
    await asyncio.to_thread(broker.start)
    await applied(1000)
    assert broker.ledger.data() == list(range(1000))
    await until(is_empty)
    await outbox.aclose()
