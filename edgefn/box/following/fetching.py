"""Files of bundles come from the hub: a transfer that was cut goes on where it was."""

import asyncio
import errno
import logging
import shutil
import time
from collections.abc import Callable
from typing import Final

from edgefn.box.following.hub import Hub
from edgefn.bundle.partial import ChunkWriter, PartialBlobs
from edgefn.bundle.store import BlobStore, make_folders
from edgefn.desired.errors import HubUnreachable
from edgefn.errors import EdgefnError
from edgefn_runtime.manifest import Manifest

PROGRESS_S: Final = 10.0
KEPT_FREE_BYTES: Final = 16 * 1024 * 1024  # of the disk: the box has to write other things, too
_MB: Final = 1e6
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))

_log = logging.getLogger(__name__)


class NotWanted(EdgefnError):
    """The hub wants something else meanwhile."""

    code = "conflict"


class NoRoom(EdgefnError):
    """The disk is too small for what the hub wants."""

    code = "storage_failed"


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
            HubUnreachable: The transfer was cut, and nothing came when it was taken up; what came
                before is kept.
            HubRefuses: The hub does not have a file.
            DigestMismatch: A file is not what the manifest says.
            OutOfStep: Somebody uploads the same file.
            NoRoom: The disk is too full for it.
            OSError: The disk fails, or became full meanwhile.
        """
        sizes = {file.sha256: file.size for file in manifest.files}
        missing = await asyncio.to_thread(self._store.missing, sizes)
        if not missing:
            return
        came = sum((await asyncio.to_thread(self._partial.sizes, missing)).values())
        size = sum(sizes[digest] for digest in missing)
        await asyncio.to_thread(self._check_room, size - came)
        progress = _Progress(manifest.spec.name, came, size, self._clock)
        for digest in missing:
            await self._fetch_all(digest, sizes[digest], progress, is_wanted)
        _log.info("%s: all of its files are here", manifest.spec.name)

    def _check_room(self, size: int) -> None:
        make_folders(self._store.incoming)
        free = shutil.disk_usage(self._store.incoming).free - KEPT_FREE_BYTES
        if size > free:
            raise NoRoom(
                f"{size / _MB:.1f} MB are to be fetched, and the disk has room for "
                f"{max(0, free) / _MB:.1f} MB beside what is kept free"
            )

    async def _fetch_all(
        self, digest: str, size: int, progress: "_Progress", is_wanted: Callable[[], bool]
    ) -> None:
        """Fetches a file, at once again as long as something comes before the transfer is cut."""
        while True:
            before = progress.came
            try:
                return await self._fetch(digest, size, progress, is_wanted)
            except HubUnreachable:
                if progress.came == before:
                    raise

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
        except BaseException as error:
            is_full = isinstance(error, OSError) and error.errno in _FULL
            writer.discard() if is_full else writer.abort()
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
    """Tells the log now and then how much came.

    Attributes:
        came: Bytes, before and now.
    """

    def __init__(self, name: str, came: int, size: int, clock: Callable[[], float]) -> None:
        self._name = name
        self.came = came
        self._size = size
        self._clock = clock
        self._told_s = clock()
        _log.info("%s: fetching %.1f of %.1f MB", name, (size - came) / _MB, size / _MB)

    def add(self, size: int) -> None:
        self.came += size
        now_s = self._clock()
        if now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            _log.info("%s: %.1f of %.1f MB came", self._name, self.came / _MB, self._size / _MB)
