"""The outbox on disk: order, numbers, limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.box.outbox.database import ROW_BYTES, AlertKey, Database
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.box.outbox.limits import Limits, OutboxFull
from edgefn.errors import ConfigError

A, B = "webhook:http://a/", "webhook:http://b/"
LIMITS = Limits(
    total_bytes=10 * (ROW_BYTES + 10), destination_bytes=6 * (ROW_BYTES + 10), age_s=60.0,
    destinations=3,
)  # fmt: skip


def event(source: str = "", to: tuple[str, ...] = (A,)) -> NewEvent:
    """An event with ten bytes of data."""
    return NewEvent(to=to, source=source, data=encode_data("x" * 8))


def told(database: Database, to: str = A) -> list[tuple[str, int]]:
    """What waits for a destination, by source and number."""
    return [(one.source, one.sequence) for one in database.waiting(to, 100, 10**6)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An open database, in a transaction."""
    opened = Database(tmp_path / "outbox.db", LIMITS)
    opened.begin()
    yield opened
    opened.close()


def test_numbers_count_by_source(database: Database) -> None:
    """To however many destinations an event goes, it has one number."""
    database.put([event("s"), event("t"), event("s", (A, B))], 1.0)
    database.put([event("s", (B,))], 2.0)
    assert told(database) == [("s", 1), ("t", 1), ("s", 2)]
    assert told(database, B) == [("s", 2), ("s", 3)]


def test_numbers_go_on_after_all_was_delivered(tmp_path: Path, database: Database) -> None:
    """Also in a box that was started again."""
    (first,) = database.put([event("s")], 1.0)
    database.delivered(A, database.waiting(A, 10, 1000))
    database.commit()
    database.close()
    again = Database(tmp_path / "outbox.db", LIMITS)
    again.begin()
    (second,) = again.put([event("s")], 1.0)
    again.close()
    assert (second.origin, second.sequence) == (first.origin, 2)
    assert first.id != second.id


def test_a_batch_is_bounded_but_never_empty(database: Database) -> None:
    """A single large event must get through."""
    database.put([event() for _ in range(4)], 1.0)
    assert len(database.waiting(A, 3, 10**6)) == 3
    assert len(database.waiting(A, 9, 25)) == 2
    assert len(database.waiting(A, 9, 1)) == 1


def test_too_much_for_one_destination_is_refused(database: Database) -> None:
    """What was accepted stays, and the others have room."""
    database.put([event() for _ in range(6)], 1.0)
    with pytest.raises(OutboxFull, match="bytes of events wait for webhook:http://a/"):
        database.put([event()], 1.0)
    database.put([event(to=(B,)) for _ in range(4)], 1.0)
    with pytest.raises(OutboxFull, match="bytes of events wait; at most"):
        database.put([event(to=(B,))], 1.0)
    assert len(told(database)) == 6
    database.delivered(A, database.waiting(A, 2, 1000))
    database.put([event()], 1.0)


def test_several_events_are_stored_all_or_none(database: Database) -> None:
    """Their sizes are added up before the first is written."""
    with pytest.raises(OutboxFull):
        database.put([event() for _ in range(7)], 1.0)
    assert (told(database), database.backlogs) == ([], {})


def test_what_waits_for_too_long_makes_room_for_nothing_new(database: Database) -> None:
    """Until it is delivered: age drops nothing."""
    database.put([event()], 100.0)
    database.put([event(), event(to=(B,))], 160.0)
    with pytest.raises(OutboxFull, match="has waited for"):
        database.put([event()], 160.5)
    database.put([event(to=(B,))], 160.5)
    database.delivered(A, database.waiting(A, 1, 1000))
    database.put([event()], 160.5)


def test_destinations_are_bounded(database: Database) -> None:
    """Those without events do not count."""
    database.put([event(to=(f"file:{n}",)) for n in range(3)], 1.0)
    with pytest.raises(OutboxFull, match="at most 3"):
        database.put([event(to=("file:3",))], 1.0)
    database.delivered("file:0", database.waiting("file:0", 1, 1000))
    database.put([event(to=("file:3",))], 1.0)


def test_what_is_counted_is_what_is_there(tmp_path: Path, database: Database) -> None:
    """After deliveries, drops, and in a database that is opened again."""
    database.put([event(to=(A, B)) for _ in range(3)], 5.0)
    database.delivered(A, database.waiting(A, 1, 1000))
    assert database.drop(B) == 3
    database.delivered(B, [database.waiting(A, 1, 1000)[0]])  # was under way when it was dropped
    database.commit()
    again = Database(tmp_path / "outbox.db", LIMITS)
    assert again.backlogs == database.backlogs
    assert (again.backlogs[A].events, again.backlogs[A].oldest_s) == (2, 5.0)
    again.close()


def test_what_was_dropped_takes_nothing_new_with_it(database: Database) -> None:
    """Though its delivery ends after the drop."""
    database.put([event("s") for _ in range(3)], 1.0)
    under_way = database.waiting(A, 3, 1000)
    database.drop(A)
    database.put([event("s")], 1.0)
    database.delivered(A, under_way)
    assert told(database) == [("s", 4)]


def test_a_rollback_takes_back_what_was_counted(database: Database) -> None:
    """And the numbers are given again, for nobody has seen them."""
    database.put([event("s")], 1.0)
    database.rollback()
    assert database.backlogs == {}
    database.begin()
    assert database.put([event("s")], 1.0)[0].sequence == 1


def test_raised_alerts_are_remembered(database: Database) -> None:
    """Raised twice is raised; cleared is forgotten."""
    one, two = AlertKey("f", "alert", ""), AlertKey("f", "alert", "s")
    for key, raised in ((one, True), (two, True), (two, True), (one, False)):
        database.set_raised(key, raised)
    assert database.raised() == [two]


def test_an_outbox_of_the_future_is_left_alone(tmp_path: Path, database: Database) -> None:
    """An older edgefn says so, and changes nothing."""
    database.commit()
    database._db.execute("PRAGMA user_version = 9")
    with pytest.raises(ConfigError, match="upgrade edgefn"):
        Database(tmp_path / "outbox.db")
