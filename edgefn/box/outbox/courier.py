"""Takes the events of one destination there, in order, again and again until they have arrived."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from edgefn.box.outbox.backoff import Backoff
from edgefn.box.outbox.database import Database
from edgefn.box.outbox.event import Event
from edgefn.box.outbox.writer import Writer
from edgefn.errors import EdgefnError

MAX_BATCH: Final = 256
MAX_BATCH_BYTES: Final = 1024 * 1024

_log = logging.getLogger(__name__)


class NotDelivered(EdgefnError):
    """Events did not arrive, or nobody knows; they are sent again."""

    code = "not_delivered"


class TooLarge(NotDelivered):
    """The receiver does not take so much at a time."""


class Sender(Protocol):
    """How events get to one destination."""

    def send(self, events: Sequence[Event]) -> None:
        """Returns when all events have arrived, in order. Blocks, for a bounded time.

        Raises:
            NotDelivered: Not all have, or not surely.
        """

    def close(self) -> None:
        """Gives up connections."""


class CourierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a courier fares.

    Attributes:
        delivered: Events, since it was started.
        failures: In a row, until now.
        last_error: The newest; empty if there was none, or if deliveries work again.
        last_error_s: When that was, in seconds of the wall clock.
    """

    delivered: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_s: float = 0.0


class Courier:
    """A thread that delivers what waits for one destination.

    Args:
        destination: Whose events it takes.
        shown: That, without secrets.
        writer: Of the outbox.
        sender: How they get there; closed at the end.
        backoff: Between tries.
        clock: The wall clock.

    Attributes:
        status: How it fares.
    """

    def __init__(
        self,
        destination: str,
        shown: str,
        writer: Writer,
        sender: Sender,
        *,
        backoff: Backoff,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._destination = destination
        self._shown = shown
        self._writer = writer
        self._sender = sender
        self._backoff = backoff
        self._clock = clock
        self._most = MAX_BATCH
        self._stopping = threading.Event()
        self._news = threading.Event()
        self.status = CourierStatus()
        self._idle = False
        self._thread = threading.Thread(
            target=self._run, name=f"edgefn-events-{shown[:40]}", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._news.set()

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do, and was not woken."""
        return self._idle and not self._news.is_set()

    def stop(self) -> None:
        """Has the thread end, at the latest when the delivery under way has."""
        self._stopping.set()
        self._news.set()

    def join(self, timeout_s: float) -> None:
        """Waits for its end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            arrived: list[Event] = []
            while not self._stopping.is_set():
                self._news.clear()
                try:
                    events = self._next(arrived)
                except EdgefnError as error:  # of the outbox
                    self._pause(error)
                    continue
                arrived = events if events and self._delivered(events) else []
                if not events:
                    self._idle = True
                    self._news.wait()
                    self._idle = False
            if arrived:
                self._next(arrived)
        except EdgefnError:
            pass  # the outbox was closed: what arrived last is sent once more
        finally:
            self._sender.close()

    def _next(self, arrived: list[Event]) -> list[Event]:
        """Forgets what has arrived and returns what comes next, in one commit."""
        destination, most = self._destination, self._most

        def advance(database: Database) -> list[Event]:
            if arrived:
                database.delivered(destination, arrived)
            return database.waiting(destination, most, MAX_BATCH_BYTES)

        return self._writer.submit(advance).result()

    def _delivered(self, events: list[Event]) -> bool:
        try:
            self._sender.send(events)
        except NotDelivered as error:
            if isinstance(error, TooLarge):
                self._most = max(1, len(events) // 2)
            self._pause(error)
            return False
        except Exception as error:  # a mistake of ours must not hold the events for ever, unseen
            _log.exception("the delivery to %s failed", self._shown)
            self._pause(NotDelivered(f"{type(error).__name__}: {error}"))
            return False
        if self.status.failures:
            _log.info("events reach %s again", self._shown)
        self._most = min(MAX_BATCH, self._most * 2)
        self.status = CourierStatus(delivered=self.status.delivered + len(events))
        return True

    def _pause(self, error: EdgefnError) -> None:
        before, now_s = self.status, self._clock()
        self.status = CourierStatus(
            delivered=before.delivered,
            failures=before.failures + 1,
            last_error=error.message,
            last_error_s=now_s,
        )
        if not before.failures:
            _log.warning("events do not reach %s: %s", self._shown, error.message)
        delay_s = self._backoff.delay_s(self.status.failures, random.random())
        self._stopping.wait(delay_s)
