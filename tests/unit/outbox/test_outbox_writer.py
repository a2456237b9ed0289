"""Group commit, and what becomes of it when the disk fails."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.box.outbox.database import Database
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.box.outbox.limits import Limits, OutboxFull
from edgefn.box.outbox.opening import open_database
from edgefn.box.outbox.writer import OutboxBroken, Writer

TO = "file:a"


class Disk:
    """Connections that count commits, wait for one, or fail as a test says."""

    def __init__(self) -> None:
        self.commits = 0
        self.errors: list[BaseException] = []
        self.may_commit = threading.Event()
        self.may_commit.set()

    def connect(self, path: Path) -> Any:
        """Opens a connection."""
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *parameters: Any) -> Any:
                if statement == "COMMIT":
                    assert disk.may_commit.wait(10.0)
                    disk.commits += 1
                    if disk.errors:
                        raise disk.errors.pop()
                return super().execute(statement, *parameters)

        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=Connection
        )


@pytest.fixture
def disk() -> Disk:
    """A disk."""
    return Disk()


@pytest.fixture
def make_writer(tmp_path: Path, disk: Disk) -> Iterator[Callable[..., Writer]]:
    """Makes writers of one file."""
    made = []

    def make(limits: Limits = Limits()) -> Writer:  # noqa: B008
        writer = Writer(lambda: Database(tmp_path / "outbox.db", limits, disk.connect))
        made.append(writer)
        return writer

    yield make
    disk.may_commit.set()
    for writer in made:
        writer.close()


def put(database: Database) -> int:
    """Stores an event, and returns its number."""
    return database.put([NewEvent(to=(TO,), data=encode_data(1))], 0.0)[0].sequence


def count(writer: Writer) -> int:
    """Returns how many events wait."""
    waiting = writer.submit(lambda database: database.waiting(TO, 10_000, 10**9)).result(10.0)
    return len(waiting)


def disk_error(code: int) -> sqlite3.OperationalError:
    """Returns an error as SQLite raises it."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


def test_what_comes_during_a_commit_shares_the_next(
    make_writer: Callable[..., Writer], disk: Disk
) -> None:
    """A hundred events, two commits, and no acknowledgement before its own."""
    writer = make_writer()
    disk.commits = 0
    disk.may_commit.clear()
    first = writer.submit(put)
    while writer._queue.qsize():
        threading.Event().wait(0.001)
    rest = [writer.submit(put) for _ in range(99)]
    assert not any(each.done() for each in (first, *rest))
    disk.may_commit.set()
    assert [each.result(10.0) for each in (first, *rest)] == list(range(1, 101))
    assert disk.commits == 2


def test_one_refusal_does_not_touch_its_neighbours(
    make_writer: Callable[..., Writer], disk: Disk
) -> None:
    """Limits are checked before anything is written."""
    writer = make_writer(Limits(destination_bytes=250))
    disk.may_commit.clear()
    results = [writer.submit(put) for _ in range(4)]
    disk.may_commit.set()
    errors = [each.exception(10.0) for each in results]
    assert [type(error) for error in errors] == [type(None), type(None), OutboxFull, OutboxFull]
    assert count(writer) == 2


def test_a_full_disk_refuses_and_recovers(make_writer: Callable[..., Writer], disk: Disk) -> None:
    """What could not be written is not acknowledged; later events are, once there is room."""
    writer = make_writer()
    disk.errors.append(disk_error(sqlite3.SQLITE_FULL))
    with pytest.raises(OutboxBroken, match="was not stored"):
        writer.submit(put).result(10.0)
    assert writer.submit(put).result(10.0) == 1
    assert count(writer) == 1


def test_after_a_failed_sync_nothing_is_acknowledged_any_more(
    make_writer: Callable[..., Writer], disk: Disk, tmp_path: Path
) -> None:
    """A second sync may succeed although the first one's pages are gone."""
    writer = make_writer()
    assert writer.submit(put).result(10.0) == 1
    disk.errors.append(disk_error(sqlite3.SQLITE_IOERR_FSYNC))
    for _ in range(2):
        with pytest.raises(OutboxBroken, match="restart the box"):
            writer.submit(put).result(10.0)
    writer.close()
    assert count(make_writer()) == 1


def test_a_mistake_in_one_piece_of_work_does_not_end_the_thread(
    make_writer: Callable[..., Writer],
) -> None:
    """It fails its own group."""
    writer = make_writer()
    with pytest.raises(OutboxBroken, match="division"):
        writer.submit(lambda database: 1 // 0).result(10.0)
    assert writer.submit(put).result(10.0) == 1


def test_a_closed_writer_has_written_all_and_takes_nothing(
    make_writer: Callable[..., Writer],
) -> None:
    """What was submitted before counts."""
    writer = make_writer()
    results = [writer.submit(put) for _ in range(50)]
    writer.close()
    assert [each.result(0.0) for each in results] == list(range(1, 51))
    with pytest.raises(OutboxBroken, match="is stopping"):
        writer.submit(put).result(0.0)


def test_a_damaged_outbox_is_kept_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The box begins a new one, with an origin of its own, and says so."""
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database" * 1000)
    database = open_database(path, Limits())
    database.begin()
    assert put(database) == 1
    database.close()
    assert (tmp_path / "outbox.db.damaged-1").read_bytes().startswith(b"no database")
    assert "is damaged" in caplog.text
