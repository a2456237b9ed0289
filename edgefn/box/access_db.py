"""Keys, tokens and certificates that a box gave out, in SQLite. Everything here blocks.

A commit is on the disk when it returns (WAL with `synchronous=FULL`): a token that was used is
used, and what was revoked stays so, whatever happens to the machine.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final, cast

import msgspec

from edgefn.access.identity import Identity, IdentityKind
from edgefn.access.needs import Kind
from edgefn.access.orders import ListedCertificate, ListedKey
from edgefn.access.table import Grant
from edgefn.box.sqlite import prepare, transaction
from edgefn.errors import ConfigError

BUSY_TIMEOUT_S: Final = 5.0
KEPT_S: Final = 30 * 86400.0  # what expired is listed for so long

_SCHEMA: Final = """
CREATE TABLE access_key (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    can TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    functions TEXT NOT NULL,
    created_s REAL NOT NULL,
    expires_s REAL,
    joins TEXT NOT NULL,
    tls_names TEXT NOT NULL,
    used_by BLOB
) STRICT;
CREATE TABLE certificate (
    serial TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    functions TEXT NOT NULL,
    tls_names TEXT NOT NULL,
    issued_s REAL NOT NULL,
    expires_s REAL NOT NULL,
    revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX holder ON certificate (kind, name);
"""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """An access key or a join token that was given out.

    Attributes:
        id: Names it.
        name: That it was given; of a token, that of the box or device if it is for one only.
        can: What it allows.
        sha256: Of its text.
        functions: That may be called with it; empty: all.
        created_s: In seconds since 1970.
        expires_s: In seconds since 1970; None: never.
        joins: Of a token: what it makes, a box or a device.
        tls_names: Of a token: under which clients will reach the box.
        used_by: Of a token: digest of the key that it was used for.
    """

    id: str
    name: str
    can: Kind
    sha256: bytes
    functions: tuple[str, ...] = ()
    created_s: float
    expires_s: float | None = None
    joins: str = ""
    tls_names: tuple[str, ...] = ()
    used_by: bytes | None = None

    def listed(self) -> ListedKey:
        """Returns it as it is listed."""
        return ListedKey(
            id=self.id,
            name=self.name,
            can=self.can,
            functions=self.functions,
            created_s=self.created_s,
            expires_s=self.expires_s,
            joins=self.joins,
            is_used=self.used_by is not None,
        )

    def grant(self) -> Grant:
        """Returns it as gateways know it."""
        return Grant(
            id=self.id,
            name=self.name or "a join token",
            can=self.can,
            sha256=self.sha256,
            functions=self.functions,
            expires_s=self.expires_s,
        )


class CertificateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was given out."""

    identity: Identity
    tls_names: tuple[str, ...]
    issued_s: float
    is_revoked: bool

    def listed(self) -> ListedCertificate:
        """Returns it as it is listed."""
        held = self.identity
        return ListedCertificate(
            kind=held.kind,
            name=held.name,
            serial=held.serial,
            functions=held.functions,
            tls_names=self.tls_names,
            issued_s=self.issued_s,
            expires_s=held.expires_s,
        )


class AccessDb:
    """The open database. For use by the thread that opened it."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            ConfigError: It is damaged, or was written by a newer edgefn.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            prepare(self._db, str(path), (_SCHEMA,))
        except (OSError, sqlite3.DatabaseError) as error:
            raise ConfigError(
                f"the keys in {path} cannot be read ({error}): restore the file, or move it away "
                "and give out new keys"
            ) from error

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def all_keys(self) -> list[KeyRow]:
        """Returns all keys and tokens, by name."""
        rows = self._db.execute(f"SELECT {', '.join(_KEY_FIELDS)} FROM access_key ORDER BY name")
        return [_key_row(row) for row in rows.fetchall()]

    def add_key(self, row: KeyRow) -> None:
        """Adds a key or a token."""
        values = [_stored(getattr(row, field)) for field in _KEY_FIELDS]
        with transaction(self._db) as db:
            db.execute(f"INSERT INTO access_key VALUES ({', '.join('?' * len(values))})", values)

    def remove_key(self, key_id: str) -> None:
        """Removes a key or a token: it counts no longer."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM access_key WHERE id = ?", (key_id,))

    def certificates(self) -> list[CertificateRow]:
        """Returns all certificates, by kind and name, the newest of each last."""
        rows = self._db.execute(
            "SELECT serial, kind, name, functions, tls_names, issued_s, expires_s, revoked "
            "FROM certificate ORDER BY kind, name, issued_s"
        )
        return [_certificate_row(row) for row in rows.fetchall()]

    def issued(
        self, row: CertificateRow, *, token: str = "", used_by: bytes = b"", replaces: bool = False
    ) -> None:
        """Adds a certificate; in the same transaction, its token is used up.

        Args:
            row: The certificate.
            token: Id of the token that was shown; empty: it is a renewal.
            used_by: Digest of the key that it is for.
            replaces: Whether older ones of the same holder count no longer.
        """
        held = row.identity
        with transaction(self._db) as db:
            if token:
                db.execute("UPDATE access_key SET used_by = ? WHERE id = ?", (used_by, token))
            if replaces:
                _revoke(db, held.kind, held.name)
            names = (_stored(held.functions), _stored(row.tls_names))
            db.execute(
                "INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (held.serial, held.kind, held.name, *names, row.issued_s, held.expires_s),
            )

    def revoke(self, kind: str, name: str) -> None:
        """Has all certificates of a holder count no longer."""
        with transaction(self._db) as db:
            _revoke(db, kind, name)

    def forget_expired(self, now_s: float) -> None:
        """Forgets what expired long ago."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM access_key WHERE expires_s < ?", (now_s - KEPT_S,))
            db.execute("DELETE FROM certificate WHERE expires_s < ?", (now_s - KEPT_S,))


_KEY_FIELDS: Final = (
    "id", "name", "can", "sha256", "functions", "created_s", "expires_s", "joins", "tls_names",
    "used_by",
)  # fmt: skip


def _stored(value: object) -> object:
    return ",".join(value) if isinstance(value, tuple) else value


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _key_row(row: tuple[object, ...]) -> KeyRow:
    values = dict(zip(_KEY_FIELDS, row, strict=True))
    for field in ("functions", "tls_names"):
        values[field] = _names(cast(str, values[field]))
    return msgspec.convert(values, KeyRow)


def _certificate_row(row: tuple[object, ...]) -> CertificateRow:
    serial, kind, name, functions, tls_names, issued_s, expires_s, revoked = row
    return CertificateRow(
        identity=Identity(
            kind=cast(IdentityKind, kind),
            name=cast(str, name),
            functions=_names(cast(str, functions)),
            serial=cast(str, serial),
            expires_s=cast(float, expires_s),
        ),
        tls_names=_names(cast(str, tls_names)),
        issued_s=cast(float, issued_s),
        is_revoked=bool(revoked),
    )


def _revoke(db: sqlite3.Connection, kind: str, name: str) -> None:
    db.execute("UPDATE certificate SET revoked = 1 WHERE kind = ? AND name = ?", (kind, name))
