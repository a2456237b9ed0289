"""Takes the files of bundles: large bodies, written to disk as they come."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web

from edgefn.bundle.store import BlobStore
from edgefn.gateway.body import announced_bytes, send_continue
from edgefn.gateway.errors import RequestTimeout, Unavailable
from edgefn_runtime.manifest import MAX_BUNDLE_BYTES

MAX_UPLOADS: Final = 8
_PIECE_BYTES: Final = 256 * 1024

T = TypeVar("T")


class BlobUploads:
    """Writes uploaded blobs to the box's store, all on one thread: the disk is one, too."""

    def __init__(self, store: str) -> None:
        self._store = BlobStore(Path(store))
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blobs")
        self._running = 0

    async def take(self, request: web.BaseRequest, digest: str, pause_s: float) -> int:
        """Stores the body of a request under its digest; returns its length.

        Args:
            request: Its body is the blob.
            digest: SHA-256 that the blob must have, in hex.
            pause_s: Longest time between two pieces of the body.

        Raises:
            DigestMismatch: The bytes have another digest.
            InvalidManifest: `digest` is none.
            RequestTimeout: The body stopped coming.
            Unavailable: As many uploads run as may.
        """
        length = announced_bytes(request, MAX_BUNDLE_BYTES)
        if self._running >= MAX_UPLOADS:
            raise Unavailable(f"{MAX_UPLOADS} uploads run already; try again later")
        self._running += 1
        try:
            await self._write(request, digest, pause_s)
        finally:
            self._running -= 1
        return length

    def close(self) -> None:
        """Ends the thread; what is half written is left to the store's clean-up."""
        self._disk.shutdown(wait=False, cancel_futures=True)

    async def _write(self, request: web.BaseRequest, digest: str, pause_s: float) -> None:
        writer = await self._on_disk(partial(self._store.open_writer, digest))
        committed = False
        try:
            send_continue(request)
            while piece := await _next_piece(request, pause_s):
                await self._on_disk(partial(writer.write, piece))
            committed = True  # `commit` throws the bytes away itself if they are wrong
            await self._on_disk(writer.commit)
        finally:
            if not committed:
                self._disk.submit(writer.abort)  # after a write that may still be under way

    async def _on_disk(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, step)


async def _next_piece(request: web.BaseRequest, pause_s: float) -> bytes:
    try:
        async with asyncio.timeout(pause_s):
            return await request.content.read(_PIECE_BYTES)
    except TimeoutError as error:
        raise RequestTimeout(f"nothing of the body came for {pause_s:g} s") from error
