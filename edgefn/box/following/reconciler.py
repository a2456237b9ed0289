"""Makes a box serve what its hub wants: one function at a time, and safe to be killed anywhere."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from edgefn.box.following.fetching import NotWanted
from edgefn.box.following.memory import Memory
from edgefn.box.following.plan import Deployed, Failure, failed, plan
from edgefn.box.functions import Function
from edgefn.bundle.partial import OutOfStep
from edgefn.bundle.signing import Signature
from edgefn.bundle.store import BlobMissing
from edgefn.desired.errors import HubRefuses, HubUnreachable
from edgefn.desired.state import DesiredFunction
from edgefn.errors import EdgefnError, NotDeployed
from edgefn_runtime.manifest import InvalidManifest, Manifest, decode_canonical_manifest

STUMBLED_S: Final = 1.0
ON_ITS_WAY: Final = "it is on its way"

# What passes by itself: the files come later.
_WAITING: Final = (HubUnreachable, HubRefuses, BlobMissing, OutOfStep)

_log = logging.getLogger(__name__)


class Followed(Protocol):
    """What can be done to the functions of a box (`deployments.Deployments`)."""

    damaged: set[str]
    followed: set[str]

    async def follow(
        self,
        manifest: Manifest,
        signature: Signature | None,
        *,
        trusted: tuple[str, ...] | None,
        note: str,
    ) -> None:
        """Has a bundle serve."""

    def announce(self, manifest: Manifest, reason: str) -> None:
        """Has peers answer calls of a function of which nothing serves here."""

    async def drop(self, name: str) -> None:
        """Takes a function off the box."""


class Fetches(Protocol):
    """Has the files of bundles come (`fetching.Fetcher`)."""

    async def fetch(self, manifest: Manifest, is_wanted: Callable[[], bool]) -> None:
        """Returns once all files of a bundle are here."""


class Reconciler:
    """Holds what the box has against what the hub wants.

    Args:
        memory: What the hub wants.
        deployments: What can be changed.
        functions: What there is, by name; changes with it.
        fetcher: Brings files.
        is_served: Whether a function's files are needed here.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        memory: Memory,
        deployments: Followed,
        functions: Mapping[str, Function],
        fetcher: Fetches,
        is_served: Callable[[Manifest], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._deployments = deployments
        self._functions = functions
        self._fetcher = fetcher
        self._is_served = is_served
        self._clock = clock
        self._changed = asyncio.Event()
        self._again_s: float | None = None
        self.failures: dict[str, Failure] = {}
        self.tried = ("", 0)  # epoch and revision up to which everything was tried
        deployments.followed.update(memory.brought)

    def look(self) -> None:
        """Has it look at once: something else is wanted."""
        self._changed.set()

    async def keep(self) -> None:
        """Carries out what is to be done, until cancelled."""
        while True:
            try:
                while await self.act():
                    pass
                await self._until_due()
            except Exception:
                _log.exception("following the hub stumbled; it goes on")
                await asyncio.sleep(STUMBLED_S)

    async def act(self) -> bool:
        """Does one thing; returns whether there was anything to do."""
        self._changed.clear()
        state = self._memory.state
        if state is None:
            return False
        todo = plan(
            self._clock(),
            state.functions,
            {name: self._deployed(name) for name in self._functions},
            self._memory.brought,
            self.failures,
        )
        self._again_s = todo.again_s
        if todo.drop:
            await self._drop(todo.drop[0])
        elif todo.adopt:
            await self._adopt(todo.adopt[0])
        elif todo.bring:
            await self._bring(todo.bring[0])
        else:
            self._settled(state.epoch, state.revision, {one.name for one in state.functions})
            return False
        return True

    async def _until_due(self) -> None:
        """Waits until something else is wanted, or something is to be tried again."""
        wait_s = None if self._again_s is None else self._again_s - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()

    def _settled(self, epoch: str, revision: int, wanted: set[str]) -> None:
        if self.tried != (epoch, revision):
            _log.info("revision %d of the hub: all of it was seen to", revision)
        self.tried = (epoch, revision)
        self.failures = {name: one for name, one in self.failures.items() if name in wanted}

    def _deployed(self, name: str) -> Deployed:
        function = self._functions[name]
        return Deployed(
            digest="" if function.serving.is_announced else function.serving.digest,
            is_damaged=name in self._deployments.damaged,
            is_quarantined=bool(function.quarantined_because),
        )

    async def _drop(self, name: str) -> None:
        """Removes first, forgets afterwards: killed in between, it does so again."""
        _log.info("%s is removed: the hub does not have it any more", name)
        with suppress(NotDeployed):
            await self._deployments.drop(name)
        await self._memory.forget(name)
        self._deployments.followed.discard(name)

    async def _adopt(self, function: DesiredFunction) -> None:
        await self._memory.bring(function.name, function.revision)
        self._deployments.followed.add(function.name)

    async def _bring(self, function: DesiredFunction) -> None:
        name = function.name
        try:
            await self._brought(function)
        except NotWanted:
            return
        except EdgefnError as error:
            self._failed(function, error.message, is_waiting=isinstance(error, _WAITING))
        except (OSError, sqlite3.Error) as error:
            reason = f"the box cannot read or write its disk: {error}"
            self._failed(function, reason, is_waiting=False)
        else:
            self.failures.pop(name, None)
            _log.info("%s: revision %d of the hub", name, function.revision)

    async def _brought(self, function: DesiredFunction) -> None:
        """Brings a function, up to where its new revision is on the disk."""
        name = function.name
        manifest = _manifest_of(function)
        if self._is_served(manifest):
            self._deployments.announce(manifest, ON_ITS_WAY)
            await self._fetcher.fetch(manifest, lambda: self._is_wanted(function))
        # Before it is deployed: killed afterwards, the box still knows who brought it.
        await self._memory.bring(name, self._memory.brought.get(name, 0))
        self._deployments.followed.add(name)
        state = self._memory.state
        await self._deployments.follow(
            manifest,
            function.signature,
            trusted=state.trusted if state is not None else None,
            note=f"revision {function.revision} of the hub",
        )
        await self._memory.bring(name, function.revision)

    def _is_wanted(self, function: DesiredFunction) -> bool:
        state = self._memory.state
        return state is not None and any(
            (one.name, one.digest) == (function.name, function.digest) for one in state.functions
        )

    def _failed(self, function: DesiredFunction, reason: str, *, is_waiting: bool) -> None:
        before = self.failures.get(function.name)
        failure = failed(self._clock(), function, reason, before, is_waiting=is_waiting)
        self.failures[function.name] = failure
        with suppress(InvalidManifest):
            self._deployments.announce(_manifest_of(function), reason)
        if before is None or before.reason != reason:
            pause_s = failure.again_s - self._clock()
            _log.warning("%s does not come up: %s; again in %.0f s", function.name, reason, pause_s)


def _manifest_of(function: DesiredFunction) -> Manifest:
    """Returns the manifest of a function.

    Raises:
        InvalidManifest: It is none, or not the one that is meant.
    """
    manifest = decode_canonical_manifest(bytes(function.manifest))
    if (manifest.spec.name, manifest.digest()) != (function.name, function.digest):
        raise InvalidManifest(f"what the hub sent for {function.name} is another bundle")
    return manifest
