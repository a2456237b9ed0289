"""What a box remembers, on a real disk."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edgefn.box.revision import Revision
from edgefn.box.state import _STEPS, LINES, RevisionRow, RevisionState, State
from edgefn.box.trust import Newest
from edgefn.bundle.keys import SigningKey
from edgefn.bundle.signing import sign
from edgefn.errors import ConfigError
from edgefn_runtime.manifest import BundleFile

MakeRevision = Callable[..., Revision]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state.db")
    yield opened
    opened.close()


def row(revision: Revision, state: RevisionState = "serving", reason: str = "") -> RevisionRow:
    return RevisionRow(
        name=revision.function,
        number=revision.number,
        digest=revision.digest,
        state=state,
        reason=reason,
        created_at="2026-01-01T00:00:00.000+00:00",
        note="",
    )


def test_a_new_revision_supersedes_the_one_before(
    state: State, make_revision: MakeRevision
) -> None:
    """One serves at any time; others of another name are left alone."""
    for revision in (make_revision("a"), make_revision("b"), make_revision("a", 2)):
        assert state.next_number(revision.function) == revision.number
        state.add(row(revision), revision.manifest)
    assert [(r.name, r.number, m.spec.name) for r, m in state.serving()] == [
        ("a", 2, "a"),
        ("b", 1, "b"),
    ]
    assert [(r.number, r.state) for r in state.history("a")] == [(2, "serving"), (1, "superseded")]


def test_a_failed_revision_changes_nothing_but_the_history(
    state: State, make_revision: MakeRevision
) -> None:
    """What served serves; the reason is kept, and the number is used up."""
    state.add(row(make_revision()), make_revision().manifest)
    failed = make_revision(number=2)
    state.add(row(failed, "failed", "no module named torch"), failed.manifest)
    assert [r.number for r, _ in state.serving()] == [1]
    assert state.history("f")[0].reason == "no module named torch"
    assert state.next_number("f") == 3


def test_a_removed_function_keeps_its_history(state: State, make_revision: MakeRevision) -> None:
    """Numbers go on if it comes back."""
    for number in (1, 2):
        revision = make_revision(number=number)
        state.add(row(revision), revision.manifest)
    state.remove("f")
    state.remove("never there")
    assert state.serving() == []
    assert [r.state for r in state.history("f")] == ["removed", "removed"]
    assert state.next_number("f") == 3


def test_a_second_serving_revision_is_impossible(state: State, make_revision: MakeRevision) -> None:
    """A transaction that fails leaves everything as it was."""
    revision = make_revision()
    state.add(row(revision), revision.manifest)
    with pytest.raises(sqlite3.IntegrityError):
        state.add(row(revision), revision.manifest)
    assert [r.state for r in state.history("f")] == ["serving"]


def test_the_history_is_bounded(state: State, make_revision: MakeRevision) -> None:
    """Failed ones go by age, the one that serves never."""
    first = make_revision()
    state.add(row(first), first.manifest)
    for number in range(2, LINES + 10):
        failed = make_revision(number=number)
        state.add(row(failed, "failed"), failed.manifest)
    numbers = [r.number for r in state.history("f")]
    assert len(numbers) <= LINES + 2
    assert numbers[-1] == 1


def test_five_revisions_can_be_rolled_back_to(state: State, make_revision: MakeRevision) -> None:
    """Those before them are forgotten with their files; what failed holds none."""
    for number in range(1, 10):
        revision = make_revision(number=number)
        files = (BundleFile("function.py", 1, str(number) * 64),)
        manifest = msgspec.structs.replace(revision.manifest, files=files)
        state.add(row(revision, "failed" if number == 8 else "serving"), manifest)
    kept = {r.number: r.state for r in state.history("f")}
    assert [n for n, outcome in kept.items() if outcome == "superseded"] == [7, 6, 5, 4, 3]
    assert (kept[9], kept[8]) == ("serving", "failed")
    assert state.blobs() == {str(number) * 64 for number in (3, 4, 5, 6, 7, 9)}


def test_the_newest_signature_that_served_is_remembered(
    state: State, make_revision: MakeRevision
) -> None:
    """Whatever failed, was rolled back to or forgotten since; until the function is removed."""
    assert state.newest("f") is None
    key = SigningKey(bytes(32))
    served: tuple[tuple[int, RevisionState], ...] = (
        (10, "serving"), (30, "serving"), (20, "serving"), (40, "failed")
    )  # fmt: skip
    for number, (sequence, outcome) in enumerate(served, 1):
        revision = make_revision(number=number, doc=str(sequence))
        signature = sign(key, revision.digest, sequence=sequence)
        state.add(replace(row(revision, outcome), signature=signature), revision.manifest)
    newest = make_revision(doc="30").digest
    assert state.newest("f") == Newest(sequence=30, digest=newest)
    state.remove("f")
    assert state.newest("f") is None
    assert [r.signature.sequence for r in state.history("f") if r.signature] == [40, 20, 30, 10]


def test_a_file_from_before_signatures_is_brought_up_to_date(
    tmp_path: Path, make_revision: MakeRevision
) -> None:
    """What served serves on, without a signature; a second opening changes nothing."""
    path, revision = tmp_path / "state.db", make_revision()
    db = sqlite3.connect(path)
    db.executescript(f"{_STEPS[0]} PRAGMA user_version = 1;")
    db.execute(
        "INSERT INTO revision VALUES ('f', 1, ?, ?, 'serving', '', '', '')",
        (revision.digest, revision.manifest.encode()),
    )
    db.commit()
    db.close()
    for _ in range(2):
        state = State(path)
        ((found, manifest),) = state.serving()
        assert (found.number, found.signature, manifest) == (1, None, revision.manifest)
        assert state.newest("f") is None
        state.close()


def test_a_damaged_signature_stops_nothing(state: State, make_revision: MakeRevision) -> None:
    """It counts as none: what serves serves on, and cannot be rolled back to."""
    revision = make_revision()
    state.add(row(revision), revision.manifest)
    state._db.execute("UPDATE revision SET signature = x'00'")
    assert [r.signature for r, _ in state.serving()] == [None]


def test_blobs_of_what_may_serve_again_are_needed(
    state: State, make_revision: MakeRevision
) -> None:
    """Those of failed and removed revisions are not."""
    revision = make_revision()
    for number in (1, 2):
        state.add(row(make_revision(number=number)), revision.manifest)
    assert state.blobs() == {"a" * 64, "b" * 64}
    state.remove("f")
    assert state.blobs() == set()


def test_what_was_committed_is_there_after_another_open(
    tmp_path: Path, make_revision: MakeRevision
) -> None:
    """The manifest comes back as it was."""
    revision = make_revision(deadline_s=0.05)
    first = State(tmp_path / "state.db")
    first.add(row(revision), revision.manifest)
    first.close()
    second = State(tmp_path / "state.db")
    assert second.manifest("f", 1) == revision.manifest
    second.close()


def test_a_revision_that_is_refused_does_not_stop_the_others(
    tmp_path: Path, make_revision: MakeRevision
) -> None:
    """Nor are its files given up: the edgefn that wrote it may come back."""
    state = State(tmp_path / "state.db")
    for revision in (make_revision("a"), make_revision("b")):
        state.add(row(revision), revision.manifest)
    state._db.execute("UPDATE revision SET manifest = x'7b7d' WHERE name = 'a'")
    assert [r.name for r, _ in state.serving()] == ["b"]
    assert state.blobs() is None
    state.close()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one" * 20])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    """The message says which file and what to do."""
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(ConfigError, match=r"state\.db cannot be read .* move it away"):
        State(tmp_path / "state.db")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A box must not guess what a later version meant."""
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="version 99.*upgrade"):
        State(tmp_path / "state.db")
