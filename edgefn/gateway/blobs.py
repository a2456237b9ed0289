"""Takes the files of bundles: large bodies, written to disk as they come."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from edgefn.bundle.partial import PartialBlobs
from edgefn.bundle.store import BlobStore
from edgefn.gateway.body import announced_bytes, send_continue
from edgefn.gateway.errors import (
    BodyTooLarge,
    MalformedRequest,
    RequestTimeout,
    StorageFailed,
    Unavailable,
)
from edgefn_runtime.manifest import MAX_BUNDLE_BYTES

MAX_UPLOADS: Final = 8
_PIECE_BYTES: Final = 256 * 1024

T = TypeVar("T")


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a blob a body is, as the query says it.

    Attributes:
        offset: Of its first byte.
        size: Of the whole blob.
    """

    offset: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=0)]


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class BlobUploads:
    """Writes uploaded blobs to the box's store, all on one thread: the disk is one, too."""

    def __init__(self, store: str) -> None:
        self._store = BlobStore(Path(store))
        self._partial = PartialBlobs(self._store)
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blobs")
        self._running = 0

    async def take(
        self, request: web.BaseRequest, digest: str, chunk: Chunk | None, pause_s: float
    ) -> int:
        """Stores the body of a request, a blob or a part of one; returns its length.

        Args:
            request: Its body is the blob, or the part.
            digest: SHA-256 that the whole blob must have, in hex.
            chunk: Which part it is; None: all of it.
            pause_s: Longest time between two pieces of the body.

        Raises:
            BodyTooLarge: The blob is larger than a bundle may be, or the part than what is left.
            DigestMismatch: The bytes have another digest.
            InvalidManifest: `digest` is none.
            OutOfStep: The part does not follow what came, or another upload is at it.
            RequestTimeout: The body stopped coming.
            StorageFailed: The disk is full, or fails.
            Unavailable: As many uploads run as may.
        """
        length = announced_bytes(request, MAX_BUNDLE_BYTES)
        _check_room(length, chunk)
        if self._running >= MAX_UPLOADS:
            raise Unavailable(f"{MAX_UPLOADS} uploads run already; try again later")
        self._running += 1
        try:
            await self._write(request, partial(self._open, digest, chunk), pause_s)
        finally:
            self._running -= 1
        return length

    def close(self) -> None:
        """Ends the thread; what is half written is left to the store's clean-up."""
        self._disk.shutdown(wait=False, cancel_futures=True)

    def _open(self, digest: str, chunk: Chunk | None) -> _Writer:
        if chunk is None:
            return self._store.open_writer(digest)
        return self._partial.open(digest, offset=chunk.offset, size=chunk.size)

    async def _write(
        self, request: web.BaseRequest, open_writer: Callable[[], _Writer], pause_s: float
    ) -> None:
        writer = await self._on_disk(open_writer)
        ended = False
        try:
            send_continue(request)
            while piece := await _next_piece(request, pause_s):
                await self._on_disk(partial(writer.write, piece))
            ended = True  # `commit` ends it whatever becomes of it
            await self._on_disk(writer.commit)
        finally:
            if not ended:
                self._disk.submit(writer.abort)  # after a write that may still be under way

    async def _on_disk(self, step: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._disk, step)
        except OSError as error:
            raise StorageFailed(f"the box cannot write its disk: {error}") from error


def chunk_of(query: Mapping[str, str]) -> Chunk | None:
    """Returns which part of a blob a request's query says that its body is; None: all of it.

    Raises:
        MalformedRequest: The query says something else.
    """
    if not query:
        return None
    try:
        return msgspec.convert(dict(query), type=Chunk, strict=False)
    except msgspec.MsgspecError as error:
        raise MalformedRequest(
            f"the query of a chunk is ?offset=...&size=..., in bytes: {error}"
        ) from error


def _check_room(length: int, chunk: Chunk | None) -> None:
    if chunk is None:
        return
    if chunk.size > MAX_BUNDLE_BYTES:
        raise BodyTooLarge(
            f"a blob of {chunk.size} bytes is announced; at most {MAX_BUNDLE_BYTES} may be"
        )
    if chunk.offset + length > chunk.size:
        raise BodyTooLarge(
            f"a chunk of {length} bytes at {chunk.offset} does not fit a blob of {chunk.size}"
        )


async def _next_piece(request: web.BaseRequest, pause_s: float) -> bytes:
    try:
        async with asyncio.timeout(pause_s):
            return await request.content.read(_PIECE_BYTES)
    except TimeoutError as error:
        raise RequestTimeout(f"nothing of the body came for {pause_s:g} s") from error
