"""Opens the outbox of a box, also after its file was damaged: a box starts without its events
rather than not at all.
"""

import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from edgefn.box.outbox.database import Database
from edgefn.box.outbox.limits import Limits
from edgefn.errors import ConfigError

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SUFFIXES: Final = ("", "-wal", "-shm")

_log = logging.getLogger(__name__)


def open_database(path: Path, limits: Limits) -> Database:
    """Returns the database in a file. A damaged file is kept under another name.

    Raises:
        ConfigError: It cannot be opened, or was written by a newer edgefn.
    """
    try:
        return _open(path, limits)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise ConfigError(f"the outbox in {path} cannot be opened: {error}") from error
        kept = _set_aside(path)
        _log.critical(
            "the outbox in %s is damaged (%s): it is kept as %s, and the box begins a new one; "
            "events in it are not delivered",
            path,
            error,
            kept.name,
        )
    return _open(path, limits)


def _open(path: Path, limits: Limits) -> Database:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Database(path, limits)


def _set_aside(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in _SUFFIXES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            os.replace(part, kept.with_name(kept.name + suffix))
    return kept
