"""How the small databases of a box are opened and changed: all or nothing, each commit synced."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgefn.errors import ConfigError


def prepare(db: sqlite3.Connection, what: str, steps: Sequence[str]) -> None:
    """Makes what was acknowledged durable, and brings the tables up to date.

    Args:
        db: In autocommit mode.
        what: It is called so in an error.
        steps: SQL of each version of the schema, from that of the version before it.

    Raises:
        ConfigError: A later edgefn wrote it.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        raise ConfigError(
            f"{what} has version {version}, and this edgefn reads up to {len(steps)}: "
            "upgrade edgefn"
        )
    if version < len(steps):
        script = "".join(steps[version:])
        db.executescript(f"BEGIN; {script} PRAGMA user_version = {len(steps)}; COMMIT;")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commits what is done within, or rolls it back if that fails."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
