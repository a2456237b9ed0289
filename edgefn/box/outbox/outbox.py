"""The outbox as the box sees it: events in, couriers out, and what operators are shown."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from edgefn.alerts.destination import Destination, parse_destination, shown
from edgefn.box.outbox.backoff import Backoff
from edgefn.box.outbox.courier import Courier, CourierStatus, Sender
from edgefn.box.outbox.database import AlertKey, Database
from edgefn.box.outbox.event import (
    MAX_DATA_BYTES,
    MAX_SOURCE_CHARS,
    Event,
    NewEvent,
    at_text,
)
from edgefn.box.outbox.file import EventFile
from edgefn.box.outbox.limits import Backlog, Limits
from edgefn.box.outbox.mqtt import MqttTopic
from edgefn.box.outbox.opening import open_database
from edgefn.box.outbox.webhook import Webhook
from edgefn.box.outbox.writer import Writer
from edgefn.errors import InvalidInput

MAX_EVENTS: Final = 1000  # of one put
TAIL: Final = 256
MAX_COURIERS: Final = 64  # beyond it, those that have nothing to do end
_JOIN_S: Final = 0.5

_log = logging.getLogger(__name__)


class TailedEvent(msgspec.Struct, frozen=True):
    """An accepted event, as operators are shown it."""

    number: int
    id: str
    source: str
    at: str
    to: tuple[str, ...]
    data: msgspec.Raw


class Outbox:
    """Takes events, and has them delivered.

    Args:
        writer: Of the database.
        folder: For files that events go to.
        box: Name of this box.
        backoff: Between tries to deliver.
        clock: The wall clock.
    """

    def __init__(
        self,
        writer: Writer,
        folder: Path,
        box: str,
        *,
        backoff: Backoff,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._folder = folder
        self._box = box
        self._backoff = backoff
        self._clock = clock
        self._couriers: dict[str, Courier] = {}
        self._tail: deque[TailedEvent] = deque(maxlen=TAIL)
        self._accepted = 0
        self._raised: list[AlertKey] = []

    @classmethod
    async def open(
        cls,
        path: Path,
        folder: Path,
        box: str,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        backoff: Backoff = Backoff(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Opens the outbox, and begins to deliver what waits in it.

        Raises:
            ConfigError: It was written by a newer edgefn, or cannot be opened.
        """
        writer = await asyncio.to_thread(Writer, lambda: open_database(path, limits))
        outbox = cls(writer, folder, box, backoff=backoff, clock=clock)
        backlogs, outbox._raised = await asyncio.wrap_future(
            writer.submit(lambda database: (dict(database.backlogs), database.raised()))
        )
        outbox._wake(backlogs)
        return outbox

    def raised(self) -> list[AlertKey]:
        """Returns the alerts that were raised when the outbox was opened."""
        return self._raised

    async def put(
        self, events: Sequence[NewEvent], raised: tuple[AlertKey, bool] | None = None
    ) -> list[str]:
        """Stores events, all or none of them; on the disk when it returns their ids.

        Args:
            events: At most `MAX_EVENTS`.
            raised: What becomes of an alert, in the same commit.

        Raises:
            InvalidInput: A destination, a source or an event is none.
            OutboxFull: Too much waits already.
            OutboxBroken: The disk failed.
        """
        check_events(events)
        now_s = self._clock()

        def store(database: Database) -> list[Event]:
            stored = database.put(events, now_s)
            if raised is not None:
                database.set_raised(*raised)
            return stored

        stored = await asyncio.wrap_future(self._writer.submit(store))
        for event, new in zip(stored, events, strict=True):
            self._note(event, new)
        self._wake(to for event in events for to in event.to)
        return [event.id for event in stored]

    async def drop(self, destination: str) -> int:
        """Forgets all events for a destination, and returns how many."""
        return await asyncio.wrap_future(
            self._writer.submit(lambda database: database.drop(destination))
        )

    async def destinations(self) -> list[str]:
        """Returns the destinations that events wait for."""
        return await asyncio.wrap_future(
            self._writer.submit(lambda database: list(database.backlogs))
        )

    def tail(self, after: int | None, limit: int) -> list[TailedEvent]:
        """Returns the newest events that were accepted, oldest first.

        Args:
            after: Only later ones than that number.
            limit: At most so many.
        """
        found = [event for event in self._tail if after is None or event.number > after]
        return found[-limit:] if after is None else found[:limit]

    async def status(self) -> list[dict[str, Any]]:
        """Returns what waits for each destination, and how it fares."""
        backlogs: dict[str, Backlog] = await asyncio.wrap_future(
            self._writer.submit(
                lambda database: {to: replace(each) for to, each in database.backlogs.items()}
            )
        )
        return [
            _described(to, backlogs.get(to, Backlog()), self._couriers.get(to))
            for to in sorted(backlogs.keys() | self._couriers.keys())
        ]

    def counts(self) -> list[tuple[str, int, int]]:
        """Returns, by destination as it is shown, how many events wait and were delivered."""
        backlogs = self._writer.backlogs
        waiting: Counter[str] = Counter()
        delivered: Counter[str] = Counter()
        for to, backlog in backlogs.items():
            waiting[shown(to)] += backlog.events
        for to, courier in self._couriers.items():
            delivered[shown(to)] += courier.status.delivered
        names = sorted(waiting.keys() | delivered.keys())
        return [(name, waiting[name], delivered[name]) for name in names]

    async def aclose(self) -> None:
        """Stops the couriers, writes what was submitted, and closes.

        What still waits is delivered after the next opening.
        """
        for courier in self._couriers.values():
            courier.stop()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        until_s = time.monotonic() + _JOIN_S
        for courier in self._couriers.values():
            courier.join(max(0.0, until_s - time.monotonic()))
        self._writer.close()

    def _note(self, event: Event, new: NewEvent) -> None:
        self._accepted += 1
        to = tuple(map(shown, new.to))
        tailed = TailedEvent(
            self._accepted, event.id, event.source, at_text(event.at_s), to, new.data
        )
        self._tail.append(tailed)

    def _wake(self, destinations: Iterable[str]) -> None:
        for text in set(destinations):
            if text not in self._couriers:
                try:
                    destination = parse_destination(text)
                except InvalidInput as error:  # stored by an edgefn that knew more of them
                    _log.error("events wait, but %s", error.message)
                    continue
                self._make_room()
                self._couriers[text] = self._courier(destination)
            self._couriers[text].wake()

    def _make_room(self) -> None:
        """Sends couriers home that have nothing to do, where there are many."""
        if len(self._couriers) >= MAX_COURIERS:
            for text, courier in tuple(self._couriers.items()):
                if courier.idle:
                    courier.stop()
                    del self._couriers[text]

    def _courier(self, destination: Destination) -> Courier:
        return Courier(
            destination.text,
            destination.shown,
            self._writer,
            self._sender(destination),
            backoff=self._backoff,
            clock=self._clock,
        )

    def _sender(self, destination: Destination) -> Sender:
        if destination.kind == "webhook":
            return Webhook(destination, self._box)
        if destination.kind == "mqtt":
            return MqttTopic(destination, self._box)
        return EventFile(self._folder / destination.path, self._box)


def check_events(events: Sequence[NewEvent]) -> None:
    """Checks events before they are stored.

    Raises:
        InvalidInput: There are too many, or a destination, a source or an event is none.
    """
    if not 1 <= len(events) <= MAX_EVENTS:
        raise InvalidInput(f"{len(events)} events at a time; there may be 1 to {MAX_EVENTS}")
    for event in events:
        if not event.to or len(set(event.to)) < len(event.to):
            raise InvalidInput(f"an event goes to one or more different destinations: {event.to}")
        for text in event.to:
            parse_destination(text)
        if len(event.source) > MAX_SOURCE_CHARS or not event.source.isprintable():
            raise InvalidInput(
                f"a source is printable and has at most {MAX_SOURCE_CHARS} characters, unlike "
                f"{event.source[:MAX_SOURCE_CHARS]!r}"
            )
        size_bytes = len(bytes(event.data))
        if size_bytes > MAX_DATA_BYTES:
            raise InvalidInput(
                f"an event has {size_bytes} bytes of data; at most {MAX_DATA_BYTES} may be"
            )


def _described(to: str, backlog: Backlog, courier: Courier | None) -> dict[str, Any]:
    status = courier.status if courier is not None else CourierStatus()
    return {
        "to": shown(to),
        "waiting": backlog.events,
        "waiting_bytes": backlog.size_bytes,
        "oldest_at": at_text(backlog.oldest_s) if backlog.events else "",
        "delivered": status.delivered,
        "failures": status.failures,
        "last_error": status.last_error,
        "last_error_at": at_text(status.last_error_s) if status.last_error else "",
    }
