"""What was acknowledged survives a power cut at any moment; the test would see it if it did not."""

import random
import shutil
import sqlite3
from contextlib import suppress
from functools import partial
from typing import Any

import apsw

from edgefn.box.outbox.database import Database
from edgefn.box.outbox.event import Event, NewEvent, encode_data
from edgefn.box.outbox.writer import Work, commit_group

CUTS = 500
TO = "webhook:http://receiver/events"


def survives(bench: Any, seed: int, synchronous: str) -> bool:
    """Whether all is there that was acknowledged before a cut, and was not acknowledged away."""
    draw = random.Random(seed)
    folder = bench.folder / f"{synchronous}-{seed}"
    folder.mkdir()
    disk = bench.vfs.disk = bench.new_disk()
    database = Database(folder / "outbox.db", connect=lambda path: bench.connect(path, synchronous))
    for name in disk.unsafe:
        disk.sync(name)
    disk.cut_at = disk.operations + draw.randrange(5, 400)
    acknowledged, sequences = _fill_until_dark(database, disk, draw)
    after = folder / "after"
    after.mkdir()
    disk.after_the_cut(draw, after)
    with suppress(apsw.Error):  # it would write, and cannot
        database.close()
    try:
        left = Database(after / "outbox.db")
    except sqlite3.DatabaseError:
        return False
    found = {(event.source, event.sequence) for event in left.waiting(TO, 10**6, 10**9)}
    left.begin()
    reused = [
        event.sequence <= sequences.get(event.source, 0)
        for event in left.put([_event(draw, source) for source in "abc"], 0.0)
    ]
    left.rollback()
    left.close()
    shutil.rmtree(folder)
    return acknowledged <= found and not any(reused)


def _fill_until_dark(
    database: Database, disk: Any, draw: random.Random
) -> tuple[set[tuple[str, int]], dict[str, int]]:
    """Returns what was acknowledged and not taken for delivery, and the last numbers."""
    acknowledged: set[tuple[str, int]] = set()
    sequences: dict[str, int] = {}
    while True:
        puts = [Work(_put(draw)) for _ in range(draw.randrange(1, 6))]
        took: list[Event] = []
        takes = [Work(partial(_take, took=took))] if draw.random() < 0.3 else []
        try:
            commit_group(database, [*puts, *takes])
        except apsw.Error:
            return acknowledged - _keys(took), sequences
        if disk.dark:
            return acknowledged - _keys(took), sequences  # the commit returned, but in the dark
        for put in puts:
            acknowledged |= _keys(put.done.result())
        for source, sequence in acknowledged:
            sequences[source] = max(sequence, sequences.get(source, 0))
        acknowledged -= _keys(took)


def _put(draw: random.Random) -> Any:
    events = [_event(draw, draw.choice("abc")) for _ in range(draw.randrange(1, 4))]
    return lambda database: database.put(events, 0.0)


def _event(draw: random.Random, source: str) -> NewEvent:
    return NewEvent(to=(TO,), source=source, data=encode_data("x" * draw.choice((50, 900, 5000))))


def _take(database: Database, took: list[Event]) -> None:
    took.extend(database.waiting(TO, 3, 10**9))
    if took:
        database.delivered(TO, took)


def _keys(events: list[Event]) -> set[tuple[str, int]]:
    return {(event.source, event.sequence) for event in events}


def test_nothing_that_was_acknowledged_is_lost_in_five_hundred_power_cuts(bench: Any) -> None:
    """Every event is there, and no number is given twice, wherever the power went."""
    assert [seed for seed in range(CUTS) if not survives(bench, seed, "FULL")] == []


def test_the_same_cuts_lose_events_without_full_syncs(bench: Any) -> None:
    """With `synchronous=NORMAL` a commit is not on the disk when it returns: the test sees that."""
    lost = [seed for seed in range(CUTS // 10) if not survives(bench, seed, "NORMAL")]
    assert len(lost) > CUTS // 10 // 4
