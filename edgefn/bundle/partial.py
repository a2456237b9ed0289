"""Blobs that come in chunks: what came is kept, so that an upload goes on where it was cut.

    <store>/incoming/<digest>.partial    the first bytes of a blob; locked while a chunk is written

Chunks come in order. Whoever is behind is told how many bytes there are, whoever comes second at
the same instant is told to ask again; and only the digest of all bytes decides what becomes a blob,
so uploaders of the same one cannot harm but themselves.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edgefn.bundle.store import (
    PARTIAL_SUFFIX,
    BlobStore,
    DigestMismatch,
    make_folders,
    publish,
    write_all,
)
from edgefn.errors import EdgefnError

_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class OutOfStep(EdgefnError):
    """A chunk does not follow the bytes that came; ask what is missing, and go on from there."""

    code = "out_of_step"


class ChunkWriter:
    """Takes the bytes of one chunk. End it with `commit` or `abort`.

    Made by `PartialBlobs.open`. Not safe for use by two threads at once.
    """

    def __init__(self, digest: str, size: int, descriptor: int, source: Path, target: Path) -> None:
        self._digest = digest
        self._size = size
        self._descriptor = descriptor
        self._source = source
        self._target = target

    def write(self, data: bytes) -> None:
        """Appends bytes. Blocks on the disk."""
        write_all(self._descriptor, data)

    def commit(self) -> None:
        """Ends the chunk. With the last one the blob becomes visible, and survives a power cut.

        Raises:
            DigestMismatch: It was the last one, and the whole has another digest. Nothing is kept.
        """
        try:
            if os.fstat(self._descriptor).st_size >= self._size:
                self._complete()
        finally:
            os.close(self._descriptor)

    def abort(self) -> None:
        """Ends the chunk early. What was written is kept for the next one."""
        os.close(self._descriptor)

    def discard(self) -> None:
        """Ends the chunk, and forgets the bytes that came before it, too."""
        self._source.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _complete(self) -> None:
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._digest:
            self._source.unlink()
            raise DigestMismatch(
                f"the chunks have SHA-256 {found}, not {self._digest}; the file changed, or was "
                "damaged on its way: upload it again, from its beginning"
            )
        publish(self._descriptor, self._source, self._target)


class PartialBlobs:
    """Those blobs of a store of which a part came."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Returns how many bytes came, of those blobs of which some did.

        Raises:
            InvalidManifest: One is not a SHA-256 in hex.
        """
        found = {}
        for digest in digests:
            try:
                found[digest] = self._path(digest).stat().st_size
            except FileNotFoundError:
                continue
        return found

    def open(self, digest: str, *, offset: int, size: int) -> ChunkWriter:
        """Starts a chunk.

        Args:
            digest: Of the blob.
            offset: Of the chunk's first byte; as many bytes must have come.
            size: Of the blob.

        Raises:
            OutOfStep: Another number of bytes came, or another uploader is at it.
            InvalidManifest: `digest` is not a SHA-256 in hex.
        """
        source, target = self._path(digest), self._store.path(digest)
        if target.exists():
            raise OutOfStep(f"the store has the blob {digest} already")
        make_folders(source.parent)
        descriptor = _open_locked(source)
        came = os.fstat(descriptor).st_size
        if came > size:  # somebody sent something else under this digest
            os.ftruncate(descriptor, 0)
            came = 0
        if came != offset:
            os.close(descriptor)
            raise OutOfStep(
                f"of the blob {digest} came {came} bytes: go on from there, not from {offset}",
                partial=came,
            )
        return ChunkWriter(digest, size, descriptor, source, target)

    def _path(self, digest: str) -> Path:
        return self._store.incoming / f"{self._store.path(digest).name}{PARTIAL_SUFFIX}"


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, _OPEN, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutOfStep("another upload of this blob is under way; ask again soon") from error
        # It may have become a blob, or been removed, before it was locked.
        if os.fstat(descriptor).st_nlink and _is(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
