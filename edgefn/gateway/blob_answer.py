"""Sends the files of bundles to boxes of the fleet, whole or from where a transfer was cut."""

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from edgefn.bundle.store import BlobStore
from edgefn.gateway.answer import Answer
from edgefn.gateway.connection import Connection
from edgefn.gateway.errors import MalformedRequest, NotFound, RangeNotSatisfiable, StorageFailed
from edgefn.gateway.http_bytes import answer_head

_PIECE_BYTES: Final = 64 * 1024  # one may take as long as a caller may be stuck
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{1,15})?")
_HEAD: Final = b"Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n"

T = TypeVar("T")


class BlobDownloads:
    """Reads blobs of the box's store, on another thread than that which takes them."""

    def __init__(self, store: str) -> None:
        self._store = BlobStore(Path(store))
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blobs-out")

    async def answer(self, digest: str, wanted: str | None) -> "BlobAnswer":
        """Returns a blob, or a part of it, as an answer that reads it while it is written.

        What is sent is not verified: whoever takes it does that.

        Args:
            digest: SHA-256 of the blob, in hex.
            wanted: The `Range` of the request.

        Raises:
            InvalidManifest: `digest` is none.
            NotFound: The store does not have it.
            MalformedRequest: `wanted` is not one range of bytes.
            RangeNotSatisfiable: It begins behind the end.
            StorageFailed: The disk fails.
        """
        path = self._store.path(digest)
        try:
            size = (await self.on_disk(path.stat)).st_size
        except FileNotFoundError as error:
            raise NotFound(f"this box does not have the blob {digest}") from error
        except OSError as error:
            raise StorageFailed(f"the box cannot read its disk: {error}") from error
        return BlobAnswer(self, path, size, *range_of(wanted, size))

    def on_disk(self, step: Callable[[], T]) -> "asyncio.Future[T]":
        """Runs what blocks on the disk."""
        return asyncio.get_running_loop().run_in_executor(self._disk, step)

    def close_later(self, descriptor: int) -> None:
        """Closes a file after a read of it that may still be under way."""
        with suppress(RuntimeError):  # the process is about to end, and the thread has
            self._disk.submit(os.close, descriptor)

    def close(self) -> None:
        """Ends the thread."""
        self._disk.shutdown(wait=False, cancel_futures=True)


class BlobAnswer(Answer):
    """The bytes of a blob from one to another.

    Args:
        downloads: Reads them.
        path: Of the blob.
        size: Of all of it.
        first: Its first byte that is sent.
        end: The first behind it that is not.
    """

    __slots__ = ("_downloads", "_end", "_first", "_path")

    def __init__(
        self, downloads: BlobDownloads, path: Path, size: int, first: int, end: int
    ) -> None:
        is_part = end - first < size
        told = b"Content-Range: bytes %d-%d/%d\r\n" % (first, end - 1, size) if is_part else b""
        super().__init__(206 if is_part else 200, _HEAD + told, b"")
        self._downloads = downloads
        self._path = path
        self._first = first
        self._end = end

    async def write_eof(self) -> None:
        """Writes all of it, no faster than it is read; called by aiohttp.

        Raises:
            ConnectionResetError: The caller is gone, or the disk fails: half of a blob is said to
                be one by nothing but the end of the connection.
        """
        request, transport, line = self._begin()
        transport.write(answer_head(self.status, self._head, self._end - self._first, line))
        if request.method == "HEAD":
            return
        on_disk = self._downloads.on_disk
        try:
            descriptor = await on_disk(partial(os.open, self._path, _OPEN))
            try:
                position = self._first
                while position < self._end:
                    wanted = min(_PIECE_BYTES, self._end - position)
                    piece = await on_disk(partial(os.pread, descriptor, wanted, position))
                    if not piece:
                        raise ConnectionResetError("a blob became shorter")
                    position += len(piece)
                    transport.write(piece)
                    if request.protocol.writing_paused:
                        await request.writer.drain()
                    cast(Connection, request.protocol).took()
            finally:
                self._downloads.close_later(descriptor)
        except OSError as error:
            transport.abort()
            raise ConnectionResetError(f"the blob cannot be sent: {error}") from error


def range_of(wanted: str | None, size: int) -> tuple[int, int]:
    """Returns the first byte that a `Range` wants, and the first behind it that it does not.

    Args:
        wanted: The header; None: all bytes.
        size: Of the whole.

    Raises:
        MalformedRequest: It is not one range of bytes with a beginning.
        RangeNotSatisfiable: It begins behind the end.
    """
    if wanted is None:
        return 0, size
    found = _RANGE.fullmatch(wanted)
    if found is None:
        raise MalformedRequest(f"Range is bytes=FIRST- or bytes=FIRST-LAST, not {wanted[:60]!r}")
    first = int(found[1])
    end = size if found[2] is None else min(int(found[2]) + 1, size)
    if first >= end:
        raise RangeNotSatisfiable(f"the blob has {size} bytes: {wanted[:60]!r} has none of them")
    return first, end
