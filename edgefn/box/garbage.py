"""Removes what no revision needs any more: folders, environments, blobs, optimised models."""

import asyncio
import logging
from collections.abc import Set as AbstractSet

from edgefn.box.bundles import Bundles
from edgefn.box.environments import Environments
from edgefn.box.launcher import Launcher
from edgefn.box.optimised import OptimisedModels
from edgefn.box.revision import Revision
from edgefn.box.state import State, StateThread

_log = logging.getLogger(__name__)


class Garbage:
    """What revisions that are gone left on the disk.

    Args:
        state: Remembers the revisions.
        bundles: Has their files.
        environments: Has what they need beside what the box has.
        optimised: Has forms of their models.
        catalog: The revisions that can be started; those that are not needed are taken out.
        launcher: Has their replicas.
    """

    def __init__(
        self,
        *,
        state: StateThread,
        bundles: Bundles,
        environments: Environments,
        optimised: OptimisedModels,
        catalog: dict[tuple[str, int], Revision],
        launcher: Launcher,
    ) -> None:
        self._state = state
        self._bundles = bundles
        self._environments = environments
        self._optimised = optimised
        self._catalog = catalog
        self._launcher = launcher

    async def collect(self, kept: AbstractSet[tuple[str, int]]) -> None:
        """Removes folders that no process can need any more, and blobs that no rollback can.

        No folder may be made for a revision meanwhile.

        Args:
            kept: Revisions that are needed whether they have replicas or not, by function and
                number.
        """
        replicas = self._launcher.replicas()
        needed = kept | {(one.revision.function, one.revision.number) for one in replicas}
        for key in self._catalog.keys() - needed:
            del self._catalog[key]
        roots = {revision.digest for revision in self._catalog.values()}
        environments = {revision.environment for revision in self._catalog.values()}
        try:
            if (remembered := await self._state.run(State.environments)) is not None:
                await asyncio.to_thread(self._environments.keep, environments | remembered)
            blobs = await self._state.run(State.blobs)
            if blobs is not None:
                await asyncio.to_thread(self._bundles.keep, roots, blobs)
                await self._optimised.keep(blobs)
        except OSError as error:
            _log.warning("old bundles were not removed: %s", error)
