"""What a hub remembers over its own end: up to which revision it told what, in SQLite.

Functions, keys and trusted signers have their own places on the disk; here is what would be lost
beside them: the numbers, whom boxes dial, and the Ray cluster. A commit is on the disk when it
returns. Everything here blocks, and is for one thread.
"""

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box.sqlite import prepare, transaction
from edgefn.desired.state import RayHead, Upstream
from edgefn.errors import ConfigError

BUSY_TIMEOUT_S: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE told (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch TEXT NOT NULL,
    revision INTEGER NOT NULL,
    digest TEXT NOT NULL,
    upstreams BLOB NOT NULL,
    ray BLOB NOT NULL
) STRICT;
"""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The newest desired state that was, or may have been, told to a box.

    Attributes:
        epoch: Of it.
        revision: Of it; 0: none was.
        digest: SHA-256 of all that is in it, beside these two.
        upstreams: That were in it.
        ray: That was in it.
    """

    epoch: str
    revision: int = 0
    digest: str = ""
    upstreams: tuple[Upstream, ...] = ()
    ray: RayHead | None = None


class HubMemory:
    """The open database."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it, for its owner alone: it has the token of the Ray cluster.

        Raises:
            ConfigError: It is damaged, or was written by a newer edgefn.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            prepare(self._db, str(path), (_SCHEMA,))
        except (OSError, sqlite3.DatabaseError) as error:
            raise ConfigError(
                f"what the hub remembers in {path} cannot be read ({error}): restore the file, or "
                "move it away; the boxes of the fleet then compare everything anew"
            ) from error

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def told(self) -> Told:
        """Returns what was told last; in a new epoch, which is remembered, if nothing ever was.

        Raises:
            ConfigError: It cannot be read.
        """
        query = "SELECT epoch, revision, digest, upstreams, ray FROM told"
        row = self._db.execute(query).fetchone()
        if row is None:
            first = Told(epoch=new_epoch())
            self.write(first)
            return first
        epoch, revision, digest, upstreams, ray = row
        try:
            return Told(
                epoch=epoch,
                revision=revision,
                digest=digest,
                upstreams=msgspec.json.decode(upstreams, type=tuple[Upstream, ...]),
                ray=msgspec.json.decode(ray, type=RayHead | None),
            )
        except msgspec.MsgspecError as error:
            raise ConfigError(f"what the hub remembers cannot be read: {error}") from error

    def write(self, told: Told) -> None:
        """Remembers what is about to be told; when this returns it survives a power cut."""
        values = (
            told.epoch,
            told.revision,
            told.digest,
            msgspec.json.encode(told.upstreams),
            msgspec.json.encode(told.ray),
        )
        with transaction(self._db) as db:
            db.execute("INSERT OR REPLACE INTO told VALUES (1, ?, ?, ?, ?, ?)", values)


def new_epoch() -> str:
    """Returns the name of a memory that no box has heard of."""
    return secrets.token_hex(8)
