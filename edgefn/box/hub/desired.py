"""What the fleet should serve, under a number that rises with each change.

A number is on the disk before anyone is told what it stands for: a hub that dies never gives it to
something else. A box that knows of a higher one, or of another content under the same, has the
better memory: the hub was restored from an older copy of its disk, and goes on in a new epoch, in
which nothing can be mixed up.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from edgefn.box.hub.content import digest_of
from edgefn.box.hub.memory import HubMemory, Told, new_epoch
from edgefn.desired.state import DesiredState, Unchanged
from edgefn.gateway.errors import Unavailable

MAX_STATE_BYTES: Final = 7 * 1024 * 1024  # a message between box and gateway has at most 8 MiB

_UNCHANGED: Final = msgspec.json.encode(Unchanged())

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Desired:
    """The desired state of a fleet. Made by `open`.

    Args:
        executor: One thread.
        memory: Used by that thread only.
        told: What was told last.
    """

    def __init__(self, executor: ThreadPoolExecutor, memory: HubMemory, told: Told) -> None:
        self._executor = executor
        self._memory = memory
        self._told = told
        self._encoded = b""
        self._changing = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._released = False

    @classmethod
    async def open(cls, path: Path) -> "Desired":
        """Opens the memory in a file, or makes it.

        Raises:
            ConfigError: It is damaged, or was written by a newer edgefn.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgefn-hub")

        def start() -> tuple[HubMemory, Told]:
            memory = HubMemory(path)
            try:
                return memory, memory.told()
            except BaseException:
                memory.close()
                raise

        try:
            memory, told = await asyncio.get_running_loop().run_in_executor(executor, start)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(executor, memory, told)

    async def aclose(self) -> None:
        """Closes the memory and ends the thread."""
        await self._run(self._memory.close)
        self._executor.shutdown()

    @property
    def told(self) -> Told:
        """What was told last, which a restarted hub remembers."""
        return self._told

    async def want(self, content: DesiredState) -> None:
        """Takes what is wanted from now on; if that is something else, it has a new number.

        Raises:
            sqlite3.Error: The disk is full, or fails. What was wanted before stays.
        """
        async with self._changing:
            told, digest = self._told, digest_of(content)
            if digest != told.digest:
                told = Told(
                    epoch=told.epoch,
                    revision=told.revision + 1,
                    digest=digest,
                    upstreams=content.upstreams,
                    ray=content.ray,
                )
                await self._run(lambda: self._memory.write(told))
            elif self._encoded:
                return
            self._tell(told, content)

    async def pull(
        self, box: str, epoch: str, revision: int, wait_s: float, *, digest: str = ""
    ) -> bytes:
        """Returns the desired state, or that it has not changed, as JSON.

        Args:
            box: Who asks. It waits once: an earlier question of it is answered now.
            epoch: That it knows; empty: none.
            revision: That it knows.
            wait_s: How long it waits for a change.
            digest: That it knows; empty: it does not tell.

        Raises:
            Unavailable: The hub is about to end, or cannot tell yet.
        """
        if self._never_told(epoch, revision, digest):
            await self._begin_epoch(epoch, revision)
        if (epoch, revision) == (self._told.epoch, self._told.revision):
            await self._changed(box, wait_s)
        if self._released:
            raise Unavailable("the hub is about to end; ask again when it is back")
        if (epoch, revision) == (self._told.epoch, self._told.revision):
            return _UNCHANGED
        if not self._encoded:
            raise Unavailable("the hub cannot write its disk, and tells nothing that it may forget")
        if len(self._encoded) > MAX_STATE_BYTES:
            raise Unavailable(_too_large(self._encoded))
        return self._encoded

    def release(self) -> None:
        """Has nobody wait any more: the hub is about to end."""
        self._released = True
        self._wake()

    def _never_told(self, epoch: str, revision: int, digest: str) -> bool:
        """Whether a box knows what this hub has forgotten that it told it."""
        told = self._told
        if epoch != told.epoch or revision < told.revision:
            return False
        return revision > told.revision or digest not in ("", told.digest)

    async def _begin_epoch(self, ended: str, revision: int) -> None:
        async with self._changing:
            told = self._told
            if told.epoch != ended or not self._encoded:
                return
            _log.warning(
                "a box knows a revision %d of the desired state that the hub, at %d, does not: its "
                "state directory is an older copy; it goes on in a new epoch",
                revision, told.revision,
            )  # fmt: skip
            told = msgspec.structs.replace(told, epoch=new_epoch(), revision=1)
            await self._run(lambda: self._memory.write(told))
            self._tell(told, msgspec.json.decode(self._encoded, type=DesiredState))

    def _tell(self, told: Told, content: DesiredState) -> None:
        self._told = told
        state = msgspec.structs.replace(
            content, epoch=told.epoch, revision=told.revision, digest=told.digest
        )
        self._encoded = msgspec.json.encode(state)
        if len(self._encoded) > MAX_STATE_BYTES:
            _log.error("boxes are told nothing: %s", _too_large(self._encoded))
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    async def _changed(self, box: str, wait_s: float) -> None:
        """Waits until there is news, for a time, or until the same box asks again."""
        if self._released:
            return
        earlier = self._waiting.get(box)
        if earlier is not None and not earlier.done():
            earlier.set_result(None)
        waiting = self._waiting[box] = asyncio.get_running_loop().create_future()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await waiting
        finally:
            if self._waiting.get(box) is waiting:
                del self._waiting[box]

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _too_large(encoded: bytes) -> str:
    return (
        f"what the fleet should serve takes {len(encoded)} bytes to tell, and at most "
        f"{MAX_STATE_BYTES} can be: remove functions, or samples from their bundles"
    )
