"""The blob store: the files of bundles, each under the SHA-256 of its content.

    <root>/<first two hex digits>/<next two>/<digest>
    <root>/incoming/...     what is being written; its writer holds a lock on it (see also
                            `edgefn.bundle.partial`)

A blob appears under its name only when all of it is on disk and has that digest. Several processes
may use one store: gateways write to it, the box reads it and collects its garbage.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from edgefn_runtime.errors import EdgefnError
from edgefn_runtime.manifest import (
    DIGEST_PATTERN,
    BundleFile,
    InvalidManifest,
    Manifest,
    check_path,
)

CHUNK_BYTES: Final = 1024 * 1024
GRACE_S: Final = 3600.0
PARTIAL_SUFFIX: Final = ".partial"

_DIGEST = re.compile(DIGEST_PATTERN)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class DigestMismatch(EdgefnError):
    """Bytes do not have the digest that they were announced, or stored, under."""

    code = "digest_mismatch"


class BlobMissing(EdgefnError):
    """The store does not have a blob; upload it."""

    code = "blob_missing"


class BlobWriter:
    """Takes the bytes of one blob. End it with `commit` or `abort`.

    Made by `BlobStore.open_writer`. Not safe for use by two threads at once.
    """

    def __init__(self, digest: str, target: Path, temporary: Path, descriptor: int) -> None:
        self._digest = digest
        self._target = target
        self._temporary = temporary
        self._descriptor = descriptor
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Appends bytes. Blocks on the disk."""
        self._hash.update(data)
        write_all(self._descriptor, data)

    def commit(self) -> None:
        """Makes the blob visible under its digest; when this returns it survives a power cut.

        Raises:
            DigestMismatch: The bytes have another digest. Nothing is kept.
        """
        if self._hash.hexdigest() != self._digest:
            self.abort()
            raise DigestMismatch(
                f"the bytes have SHA-256 {self._hash.hexdigest()}, not {self._digest}; "
                "the file changed, or was damaged on its way: upload it again"
            )
        publish(self._descriptor, self._temporary, self._target)
        os.close(self._descriptor)

    def abort(self) -> None:
        """Throws away what was written."""
        self._temporary.unlink(missing_ok=True)
        os.close(self._descriptor)


class BlobStore:
    """Blobs by digest under one folder, which is made when the first blob comes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.incoming = root / "incoming"

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Returns those that the store lacks, in order, without duplicates.

        Those that it has are marked as used now: `keep` leaves them alone for its grace.

        Raises:
            InvalidManifest: One is not a SHA-256 in hex.
        """
        lacking = []
        for digest in dict.fromkeys(digests):
            try:
                os.utime(self.path(digest))
            except FileNotFoundError:
                lacking.append(digest)
        return lacking

    def path(self, digest: str) -> Path:
        """Returns where a blob is, or would be.

        Raises:
            InvalidManifest: It is not a SHA-256 in hex.
        """
        if not _DIGEST.fullmatch(digest):
            raise InvalidManifest(f"{digest!r} is not a SHA-256 in lower-case hex")
        return self._root / digest[:2] / digest[2:4] / digest

    def open_writer(self, digest: str) -> BlobWriter:
        """Starts a blob. What writers that died left behind is removed first.

        Raises:
            InvalidManifest: It is not a SHA-256 in hex.
        """
        target = self.path(digest)
        make_folders(self.incoming)
        self._clean_incoming()
        while True:
            temporary = self.incoming / f"{digest}.{secrets.token_hex(4)}"
            descriptor = os.open(temporary, _CREATE, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Another process may have taken the file for a dead writer's before it was locked.
            if os.fstat(descriptor).st_nlink:
                return BlobWriter(digest, target, temporary, descriptor)
            os.close(descriptor)

    def materialise(self, manifest: Manifest, into: Path) -> None:
        """Writes out a bundle: the files of the manifest, each verified, and nothing else.

        Args:
            manifest: What to write.
            into: A folder that does not exist yet. Files in it are read-only and durable.

        Raises:
            BlobMissing: A file of the manifest is not in the store.
            DigestMismatch: A stored blob is damaged. It is removed, so that `missing` names it.
            FileExistsError: `into` exists.
        """
        into.mkdir(mode=0o700)
        try:
            for file in manifest.files:
                self._copy_out(file, into)
            for folder, _, _ in os.walk(into):
                sync_folder(Path(folder))
        except BaseException:
            shutil.rmtree(into)
            raise

    def keep(self, digests: set[str], grace_s: float = GRACE_S) -> int:
        """Removes blobs that are not among `digests` and returns the bytes freed.

        A deployment asks what is missing, uploads, and only then says what needs those blobs; so
        what was written or asked for within the last `grace_s` seconds stays.
        """
        self._clean_incoming()
        oldest_s = time.time() - grace_s
        freed_bytes = 0
        for path in self._blobs():
            status = path.stat()
            if path.name not in digests and status.st_mtime <= oldest_s:
                path.unlink()
                freed_bytes += status.st_size
        return freed_bytes

    def _blobs(self) -> Iterator[Path]:
        for path in self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            if _DIGEST.fullmatch(path.name):
                yield path

    def _clean_incoming(self) -> None:
        if not self.incoming.is_dir():
            return
        oldest_s = time.time() - GRACE_S
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                if path.suffix != PARTIAL_SUFFIX or path.stat().st_mtime <= oldest_s:
                    _remove_unless_locked(path)

    def _copy_out(self, file: BundleFile, into: Path) -> None:
        check_path(file.path)
        source = self.path(file.sha256)
        target = into / file.path
        make_folders(target.parent)
        try:
            reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise BlobMissing(
                f"the content of {file.path!r} (SHA-256 {file.sha256}) is not in the store; "
                "deploy again to upload it"
            ) from error
        try:
            sha256, size = _copy(reader, target)
        finally:
            os.close(reader)
        if (sha256, size) != (file.sha256, file.size):
            if sha256 != file.sha256:
                source.unlink()
            raise DigestMismatch(
                f"the stored content of {file.path!r} has {size} bytes and SHA-256 {sha256}, not "
                f"{file.size} bytes and {file.sha256}; deploy again to upload it"
            )


def _copy(reader: int, target: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    writer = os.open(target, _CREATE, 0o400)
    try:
        while chunk := os.read(reader, CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            write_all(writer, chunk)
        os.fsync(writer)
    finally:
        os.close(writer)
    return digest.hexdigest(), size


def publish(descriptor: int, written: Path, target: Path) -> None:
    """Makes a file, whose bytes were checked, visible as a blob that survives a power cut."""
    os.fchmod(descriptor, 0o400)
    os.fsync(descriptor)
    make_folders(target.parent)
    os.rename(written, target)
    sync_folder(target.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of some bytes, however many calls of the system that takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _remove_unless_locked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Makes a folder and those above it, private, and their names durable."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes sure that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
