"""What a box remembers over its own end: the revisions of its functions, in SQLite.

A commit is on the disk when it returns (WAL with `synchronous=FULL`). Everything here blocks;
`StateThread` runs it on one thread of its own, so that the event loop never waits for a disk.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from edgefn.box.sqlite import prepare, transaction
from edgefn.box.trust import Newest
from edgefn.bundle.signing import BadSignature, Signature, decode_signature
from edgefn.errors import ConfigError
from edgefn_runtime.manifest import InvalidManifest, Manifest, decode_manifest

RevisionState = Literal["serving", "superseded", "failed", "removed"]

HISTORY: Final = 5  # superseded revisions of each name that can be rolled back to
LINES: Final = 20  # numbers back to which failed and removed revisions are remembered
BUSY_TIMEOUT_S: Final = 5.0

# One step for each version, from the one before to it; the first makes an empty file.
_STEPS: Final = (
    """
CREATE TABLE revision (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    manifest BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('serving', 'superseded', 'failed', 'removed')),
    reason TEXT NOT NULL,
    created_at TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (name, number)
) STRICT;
CREATE UNIQUE INDEX one_serving ON revision (name) WHERE state = 'serving';
""",
    # What was deployed before there were signatures has none. `newest` outlives its revision.
    """
ALTER TABLE revision ADD COLUMN signature BLOB;
CREATE TABLE newest (
    name TEXT NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT;
""",
)

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRow:
    """One line of a function's history.

    Attributes:
        name: Of the function.
        number: Counts the deployments of this name, from 1.
        digest: Of the manifest.
        state: `serving`, or why not any more.
        reason: Why it failed, if it did.
        created_at: ISO 8601 in UTC.
        note: What the deployment was, beside new code, like "rollback to 2".
        signature: That the bundle came with; None if it came before there were signatures.
    """

    name: str
    number: int
    digest: str
    state: RevisionState
    reason: str
    created_at: str
    note: str
    signature: Signature | None = None


class State:
    """The open database. For use by the thread that opened it."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            ConfigError: It is damaged, or was written by a newer edgefn.
        """
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            prepare(self._db, f"the state in {path}", _STEPS)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ConfigError(
                f"the state in {path} cannot be read ({error}): restore it, or move it away and "
                "deploy again"
            ) from error
        except ConfigError:
            self._db.close()
            raise

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def next_number(self, name: str) -> int:
        """Returns the number of the next revision under a name."""
        query = "SELECT coalesce(max(number), 0) + 1 FROM revision WHERE name = ?"
        return int(self._db.execute(query, (name,)).fetchone()[0])

    def serving(self) -> list[tuple[RevisionRow, Manifest]]:
        """Returns the revisions that serve, by name; one that cannot be read does not."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, manifest FROM revision WHERE state = 'serving' ORDER BY name"
        )
        found = ((_row(row), _read(row[0], row[-1])) for row in rows.fetchall())
        return [(row, manifest) for row, manifest in found if manifest is not None]

    def history(self, name: str) -> list[RevisionRow]:
        """Returns the revisions under a name, newest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM revision WHERE name = ? ORDER BY number DESC", (name,)
        )
        return [_row(row) for row in rows.fetchall()]

    def manifest(self, name: str, number: int) -> Manifest:
        """Returns the manifest of a revision that `history` has."""
        query = "SELECT manifest FROM revision WHERE name = ? AND number = ?"
        return decode_manifest(self._db.execute(query, (name, number)).fetchone()[0])

    def blobs(self) -> set[str] | None:
        """Returns the digests of all files that a revision still could need.

        None if there is a revision that this version of edgefn cannot read, and another could.
        """
        found = self._needed()
        if found is None:
            return None
        return {file.sha256 for manifest in found for file in manifest.files}

    def environments(self) -> set[str] | None:
        """Returns the digests of all environments that a revision still could need.

        None if there is a revision that this version of edgefn cannot read, and another could.
        """
        found = self._needed()
        if found is None:
            return None
        return {manifest.environment.digest() for manifest in found if manifest.environment}

    def newest(self, name: str) -> Newest | None:
        """Returns the newest bundle that served under a name since it was last removed."""
        query = "SELECT sequence, digest FROM newest WHERE name = ?"
        found = self._db.execute(query, (name,)).fetchone()
        return None if found is None else Newest(sequence=found[0], digest=found[1])

    def add(self, row: RevisionRow, manifest: Manifest) -> None:
        """Adds a revision, and forgets those that are too old.

        If it serves, the one before is superseded in the same transaction, and nothing that was
        signed before it will be the newest again.
        """
        with transaction(self._db) as db:
            if row.state == "serving":
                db.execute(
                    "UPDATE revision SET state = 'superseded' WHERE name = ? AND state = 'serving'",
                    (row.name,),
                )
                _move_newest(db, row)
            values = [getattr(row, column) for column in _NAMES[:-1]]
            signature = row.signature.encode() if row.signature else None
            places = ", ".join("?" * (len(_NAMES) + 1))
            db.execute(
                f"INSERT INTO revision ({_COLUMNS}, manifest) VALUES ({places})",
                (*values, signature, manifest.encode()),
            )
            _forget_old(db, row)

    def remove(self, name: str) -> None:
        """Marks the revisions of a name as removed: nobody can roll back to them any more.

        What is deployed under that name next may be older: a signer's clock that was ahead must not
        close a name for ever.
        """
        with transaction(self._db) as db:
            db.execute("DELETE FROM newest WHERE name = ?", (name,))
            db.execute(
                "UPDATE revision SET state = 'removed' "
                "WHERE name = ? AND state IN ('serving', 'superseded')",
                (name,),
            )

    def _needed(self) -> list[Manifest] | None:
        rows = self._db.execute(
            "SELECT name, manifest FROM revision WHERE state IN ('serving', 'superseded')"
        )
        found = [_read(name, data) for name, data in rows.fetchall()]
        manifests = [manifest for manifest in found if manifest is not None]
        return manifests if len(manifests) == len(found) else None


class StateThread:
    """Runs calls on a `State`, one after the other, on a thread of its own."""

    def __init__(self, executor: ThreadPoolExecutor, state: State) -> None:
        self._executor = executor
        self._state = state

    @classmethod
    async def open(cls, path: Path) -> "StateThread":
        """Opens the state on a new thread.

        Raises:
            ConfigError: As `State` does.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgefn-state")
        try:
            state = await asyncio.get_running_loop().run_in_executor(executor, State, path)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(executor, state)

    async def run(self, method: Callable[..., T], *arguments: Any) -> T:
        """Runs an unbound method of `State` with these arguments."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, method, self._state, *arguments)

    async def aclose(self) -> None:
        """Closes the database and ends the thread."""
        await self.run(State.close)
        self._executor.shutdown()


_NAMES: Final = (
    "name", "number", "digest", "state", "reason", "created_at", "note", "signature"
)  # fmt: skip
_COLUMNS: Final = ", ".join(_NAMES)


def _row(columns: tuple[Any, ...]) -> RevisionRow:
    """Returns a line from `_COLUMNS`; whatever is behind them is left alone."""
    values = dict(zip(_NAMES, columns, strict=False))
    encoded = values.pop("signature")
    return RevisionRow(**values, signature=_signature(columns[0], encoded))


def _signature(name: str, encoded: bytes | None) -> Signature | None:
    """Returns a stored signature; None if it is damaged, which must not stop what serves."""
    if encoded is None:
        return None
    try:
        return decode_signature(encoded)
    except BadSignature as error:
        _log.error("a stored signature of %s cannot be read: %s", name, error)
        return None


def _move_newest(db: sqlite3.Connection, row: RevisionRow) -> None:
    if row.signature is None:
        return
    db.execute(
        "INSERT INTO newest VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "sequence = excluded.sequence, digest = excluded.digest "
        "WHERE excluded.sequence > newest.sequence",
        (row.name, row.signature.sequence, row.digest),
    )


def _forget_old(db: sqlite3.Connection, row: RevisionRow) -> None:
    db.execute(
        "DELETE FROM revision WHERE name = ? AND number < ? AND state IN ('failed', 'removed')",
        (row.name, row.number - LINES),
    )
    db.execute(
        "DELETE FROM revision WHERE name = :name AND state = 'superseded' AND number NOT IN ("
        "SELECT number FROM revision WHERE name = :name AND state = 'superseded' "
        "ORDER BY number DESC LIMIT :kept)",
        {"name": row.name, "kept": HISTORY},
    )


def _read(name: str, data: bytes) -> Manifest | None:
    """Returns a stored manifest; None if this edgefn refuses it, which must not stop the others."""
    try:
        return decode_manifest(data)
    except InvalidManifest as error:
        _log.error("%s cannot be served: %s", name, error)
        return None
