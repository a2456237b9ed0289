"""The one thread that writes the outbox, with one commit for all that came meanwhile.

A commit waits for the disk, a few milliseconds; one for each event would allow a few hundred a
second. So whatever is asked while a commit is under way shares the next one (group commit: DeWitt
et al., 1984), and nobody is told that it is done before that has returned.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from edgefn.box.outbox.database import Database
from edgefn.box.outbox.limits import Backlog, OutboxFull
from edgefn.errors import EdgefnError

MAX_GROUP: Final = 256
MAX_WAITING: Final = 4096
# After these nobody knows what is on the disk; a commit that is tried again may seem to succeed.
_FATAL: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

T = TypeVar("T")

_log = logging.getLogger(__name__)


class OutboxBroken(EdgefnError):
    """The outbox cannot be written; what was accepted before is still in it."""

    code = "storage_failed"


class Work(Generic[T]):
    """Something to be done with the database, and what comes of it.

    Args:
        does: Called with the database, in a transaction. If it raises an `EdgefnError`, it must
            have changed nothing.

    Attributes:
        done: What it returned, once that is on the disk; or why it is not.
    """

    def __init__(self, does: Callable[[Database], T]) -> None:
        self.does = does
        self.done: Future[T] = Future()


def commit_group(database: Database, group: Sequence[Work[Any]]) -> None:
    """Does what is to be done in one transaction, and tells those who wait when it is on the disk.

    Raises:
        Exception: The transaction failed; nobody was told anything.
    """
    results: list[tuple[Work[Any], Any]] = []
    database.begin()
    for work in group:
        try:
            results.append((work, work.does(database)))
        except EdgefnError as error:
            work.done.set_exception(error)
    database.commit()
    for work, result in results:
        work.done.set_result(result)


class Writer:
    """Runs work on a database on a thread of its own.

    Args:
        open_database: Called on that thread.

    Raises:
        Exception: As `open_database` does.

    Attributes:
        backlogs: What waits, by destination, as of the last commit; a snapshot.
    """

    def __init__(self, open_database: Callable[[], Database]) -> None:
        self._queue: queue.Queue[Work[Any] | None] = queue.Queue(MAX_WAITING)
        self.backlogs: Mapping[str, Backlog] = {}
        self._broken = ""
        self._lock = threading.Lock()
        self._closed = False
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(open_database, opened), name="edgefn-outbox", daemon=True
        )
        self._thread.start()
        opened.result()

    def submit(self, does: Callable[[Database], T]) -> Future[T]:
        """Has something done; what it returns is on the disk when the future is done.

        Its failures, in the future: `OutboxFull`, also when too much waits to be written;
        `OutboxBroken`; and what `does` raises.
        """
        work = Work(does)
        with self._lock:
            if self._closed:
                work.done.set_exception(OutboxBroken("the box is stopping"))
                return work.done
            try:
                self._queue.put_nowait(work)
            except queue.Full:
                work.done.set_exception(
                    OutboxFull(f"{MAX_WAITING} writes of events wait for the disk already")
                )
        return work.done

    def close(self) -> None:
        """Does what was submitted, and ends the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self, open_database: Callable[[], Database], opened: Future[None]) -> None:
        try:
            database = open_database()
        except BaseException as error:
            opened.set_exception(error)
            return
        self._show(database)
        opened.set_result(None)
        try:
            while group := self._next_group():
                self._do(database, group)
        finally:
            database.close()

    def _next_group(self) -> list[Work[Any]]:
        """Returns all that waits, at least one; nothing at the end."""
        group: list[Work[Any]] = []
        while len(group) < MAX_GROUP:
            try:
                work = self._queue.get(block=not group)
            except queue.Empty:
                break
            if work is None:
                if group:
                    self._queue.put(None)  # for the next time
                break
            if work.done.set_running_or_notify_cancel():
                group.append(work)
        return group

    def _do(self, database: Database, group: list[Work[Any]]) -> None:
        if self._broken:
            _fail(group, OutboxBroken(self._broken))
            return
        try:
            commit_group(database, group)
            self._show(database)
        except sqlite3.Error as error:
            self._fail_group(database, group, error)
        except Exception as error:  # work with a mistake must not end the thread
            _log.exception("the outbox failed")
            self._fail_group(database, group, error)

    def _show(self, database: Database) -> None:
        self.backlogs = {to: replace(each) for to, each in database.backlogs.items()}

    def _fail_group(self, database: Database, group: list[Work[Any]], error: Exception) -> None:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FATAL:
            self._broken = f"the outbox cannot be written ({error}); restart the box"
        else:
            try:
                database.rollback()
            except sqlite3.Error as second:
                self._broken = f"the outbox cannot be written ({second}); restart the box"
        if self._broken:
            _log.critical("%s", self._broken)
        _fail(group, OutboxBroken(self._broken or f"the event was not stored: {error}"))


def _fail(group: list[Work[Any]], error: EdgefnError) -> None:
    for work in group:
        if not work.done.done():
            work.done.set_exception(error)
