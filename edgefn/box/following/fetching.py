"""Files of bundles come from the hub: a transfer that was cut goes on where it was."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from edgefn.box.following.hub import Hub
from edgefn.bundle.partial import ChunkWriter, PartialBlobs
from edgefn.bundle.store import BlobStore
from edgefn.errors import EdgefnError
from edgefn_runtime.manifest import Manifest

PROGRESS_S: Final = 10.0
_MB: Final = 1e6

_log = logging.getLogger(__name__)


class NotWanted(EdgefnError):
    """The hub wants something else meanwhile."""

    code = "conflict"


class Fetcher:
    """Fetches what the store lacks.

    Args:
        hub: Where it is fetched. Nobody else uses it meanwhile.
        store: Where it is kept, whole and verified.
        clock: Monotonic seconds.
    """

    def __init__(
        self, hub: Hub, store: BlobStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hub = hub
        self._store = store
        self._partial = PartialBlobs(store)
        self._clock = clock

    async def fetch(self, manifest: Manifest, is_wanted: Callable[[], bool]) -> None:
        """Returns once the store has all files of a bundle.

        Args:
            manifest: Of the bundle.
            is_wanted: Asked with each piece that comes.

        Raises:
            NotWanted: It is not wanted any more.
            HubUnreachable: The transfer was cut; what came is kept.
            HubRefuses: The hub does not have a file.
            DigestMismatch: A file is not what the manifest says.
            OutOfStep: Somebody uploads the same file.
            OSError: The disk is full, or fails.
        """
        sizes = {file.sha256: file.size for file in manifest.files}
        missing = await asyncio.to_thread(self._store.missing, sizes)
        if not missing:
            return
        came = sum((await asyncio.to_thread(self._partial.sizes, missing)).values())
        progress = _Progress(
            manifest.spec.name, came, sum(sizes[digest] for digest in missing), self._clock
        )
        for digest in missing:
            await self._fetch(digest, sizes[digest], progress, is_wanted)
        _log.info("%s: all of its files are here", manifest.spec.name)

    async def _fetch(
        self, digest: str, size: int, progress: "_Progress", is_wanted: Callable[[], bool]
    ) -> None:
        offset = (await asyncio.to_thread(self._partial.sizes, [digest])).get(digest, 0)
        offset = offset if offset <= size else 0
        writer = await asyncio.to_thread(self._partial.open, digest, offset=offset, size=size)

        async def take(piece: bytes) -> None:
            if not is_wanted():
                raise NotWanted("the hub wants something else now")
            await _on_disk(writer, piece)
            progress.add(len(piece))

        try:
            if offset < size:
                await self._hub.blob(digest, offset, size, take)
        except BaseException:
            writer.abort()
            raise
        await asyncio.to_thread(writer.commit)


async def _on_disk(writer: ChunkWriter, piece: bytes) -> None:
    """Writes a piece; returns only when nothing is being written, even if it is cancelled."""
    writing = asyncio.ensure_future(asyncio.to_thread(writer.write, piece))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait((writing,))
        raise


class _Progress:
    """Tells the log now and then how much came."""

    def __init__(self, name: str, came: int, size: int, clock: Callable[[], float]) -> None:
        self._name = name
        self._came = came
        self._size = size
        self._clock = clock
        self._told_s = clock()
        _log.info("%s: fetching %.1f of %.1f MB", name, (size - came) / _MB, size / _MB)

    def add(self, size: int) -> None:
        self._came += size
        now_s = self._clock()
        if now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            _log.info("%s: %.1f of %.1f MB came", self._name, self._came / _MB, self._size / _MB)
