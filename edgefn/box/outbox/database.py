"""The outbox on disk: events that wait, in SQLite, and what must be remembered beside them.

A commit is on the disk when it returns (WAL with `synchronous=FULL`). Everything here blocks and
belongs to one thread. Nothing here begins or ends a transaction but `begin`, `commit` and
`rollback`: many changes share one (`writer.py`).
"""

import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from edgefn.box.outbox.event import Event, NewEvent
from edgefn.box.outbox.limits import Backlog, Limits, check_room
from edgefn.errors import ConfigError

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0
ROW_BYTES: Final = 100  # what an event takes beside its data

_SCHEMA: Final = (
    "CREATE TABLE origin (id TEXT NOT NULL) STRICT",
    "CREATE TABLE sequence (source TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID",
    "CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT, "
    "destination TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL, "
    "at_s REAL NOT NULL, data BLOB NOT NULL) STRICT",
    "CREATE INDEX event_of ON event (destination, position)",
    "CREATE TABLE raised (function TEXT NOT NULL, alert TEXT NOT NULL, source TEXT NOT NULL, "
    "PRIMARY KEY (function, alert, source)) STRICT, WITHOUT ROWID",
)
_ADVANCE: Final = (
    "INSERT INTO sequence VALUES (?, 1) "
    "ON CONFLICT (source) DO UPDATE SET last = last + 1 RETURNING last"
)


class Connection(Protocol):
    """What is asked of a connection to SQLite."""

    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Runs a statement and returns a cursor."""

    def close(self) -> None:
        """Closes it."""


class AlertKey(NamedTuple):
    """One alert of one function at one source."""

    function: str
    alert: str
    source: str


class Database:
    """The open file.

    Args:
        path: Of the file; made if missing.
        limits: On what may wait.
        connect: Opens a connection without transactions of its own.

    Raises:
        ConfigError: The file was written by a newer edgefn.
        sqlite3.DatabaseError: It is damaged.

    Attributes:
        backlogs: By destination, those without events left out.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        connect: Callable[[Path], Connection] | None = None,
    ) -> None:
        self._path = path
        self._limits = limits
        self._db = (connect or _connect)(path)
        try:
            self._prepare()
            self._origin = str(self._one("SELECT id FROM origin"))
            self.backlogs = self._count()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def begin(self) -> None:
        """Begins a transaction."""
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Ends the transaction; what was changed is on the disk when it returns."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Ends the transaction as if nothing had been changed, if there still is one."""
        with suppress(sqlite3.OperationalError):  # SQLite has ended it by itself
            self._db.execute("ROLLBACK")
        self.backlogs = self._count()

    def put(self, events: Sequence[NewEvent], now_s: float) -> list[Event]:
        """Stores events, all or none of them, and returns them.

        Raises:
            OutboxFull: Too much waits; nothing was changed.
        """
        wanted: Counter[str] = Counter()
        for event in events:
            for destination in event.to:
                wanted[destination] += ROW_BYTES + len(bytes(event.data))
        check_room(self._limits, self.backlogs, wanted, now_s)
        return [self._insert(event, now_s) for event in events]

    def delivered(self, destination: str, events: Sequence[Event]) -> None:
        """Forgets events that are where they were to go: the first ones that `waiting` returned."""
        rows = self._db.execute(
            "DELETE FROM event WHERE destination = ? AND position <= ? RETURNING length(data)",
            (destination, events[-1].position),
        )
        sizes = [ROW_BYTES + row[0] for row in rows]
        if not sizes:
            return  # an operator has dropped them meanwhile
        backlog = self.backlogs[destination]
        backlog.events -= len(sizes)
        backlog.size_bytes -= sum(sizes)
        oldest_s = self._one(
            "SELECT at_s FROM event WHERE destination = ? ORDER BY position LIMIT 1", (destination,)
        )
        if oldest_s is None:
            del self.backlogs[destination]
        else:
            backlog.oldest_s = oldest_s

    def drop(self, destination: str) -> int:
        """Forgets all that waits for a destination, and returns how many events that were."""
        self._db.execute("DELETE FROM event WHERE destination = ?", (destination,))
        return self.backlogs.pop(destination, Backlog()).events

    def waiting(self, destination: str, most: int, most_bytes: int) -> list[Event]:
        """Returns the first events that wait for a destination, one at least if there are any."""
        rows = self._db.execute(
            "SELECT position, source, sequence, at_s, data FROM event WHERE destination = ? "
            "ORDER BY position LIMIT ?",
            (destination, most),
        )
        events: list[Event] = []
        for position, source, sequence, at_s, data in rows:
            most_bytes -= len(data)
            if events and most_bytes < 0:
                break
            events.append(Event(position, self._origin, source, sequence, at_s, bytes(data)))
        return events

    def raised(self) -> list[AlertKey]:
        """Returns the alerts that are raised."""
        rows = self._db.execute("SELECT function, alert, source FROM raised")
        return [AlertKey(*row) for row in rows]

    def set_raised(self, key: AlertKey, raised: bool) -> None:
        """Remembers whether an alert is raised."""
        if raised:
            self._db.execute("INSERT OR REPLACE INTO raised VALUES (?, ?, ?)", key)
        else:
            self._db.execute(
                "DELETE FROM raised WHERE function = ? AND alert = ? AND source = ?", key
            )

    def _insert(self, event: NewEvent, now_s: float) -> Event:
        data, source, position = bytes(event.data), event.source, 0
        sequence = int(self._one(_ADVANCE, (source,)))
        for destination in event.to:
            position = self._one(
                "INSERT INTO event (destination, source, sequence, at_s, data) "
                "VALUES (?, ?, ?, ?, ?) RETURNING position",
                (destination, source, sequence, now_s, data),
            )
            backlog = self.backlogs.setdefault(destination, Backlog(oldest_s=now_s))
            backlog.events += 1
            backlog.size_bytes += ROW_BYTES + len(data)
        return Event(position, self._origin, source, sequence, now_s, data)

    def _prepare(self) -> None:
        self._one("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        version = int(self._one("PRAGMA user_version"))
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"the outbox in {self._path} has version {version}, and this edgefn reads up to "
                f"{SCHEMA_VERSION}: upgrade edgefn"
            )
        if version < SCHEMA_VERSION:
            self.begin()
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute("INSERT INTO origin VALUES (?)", (secrets.token_hex(8),))
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self.commit()

    def _count(self) -> dict[str, Backlog]:
        rows = self._db.execute(
            "SELECT destination, count(*), sum(length(data)), min(position) FROM event "
            "GROUP BY destination"
        )
        found = [(row[0], row[1], row[2], row[3]) for row in rows]
        return {
            destination: Backlog(
                events,
                size_bytes + ROW_BYTES * events,
                self._one("SELECT at_s FROM event WHERE position = ?", (first,)),
            )
            for destination, events, size_bytes, first in found
        }

    def _one(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Returns the first column of the only row, or None without one."""
        rows: Iterable[Any] = self._db.execute(statement, parameters)
        found = None
        for row in rows:  # to the end, which is when an INSERT with RETURNING is done
            found = row[0]
        return found


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
