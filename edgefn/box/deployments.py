"""Deploying, rolling back and removing functions: old or new, never a mixture, and remembered."""

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime

from edgefn.box.bundles import Bundles
from edgefn.box.control_loop import ControlLoop
from edgefn.box.launcher import Launcher
from edgefn.box.logs import Logs
from edgefn.box.replica import Replica
from edgefn.box.requirements import check_requirements
from edgefn.box.revision import Revision
from edgefn.box.staging import stage
from edgefn.box.state import RevisionRow, RevisionState, State, StateThread
from edgefn.bundle.store import BlobMissing, DigestMismatch
from edgefn.errors import DeploymentFailed, EdgefnError, NotDeployed
from edgefn_runtime.manifest import Manifest

_log = logging.getLogger(__name__)


class RevisionRefused(EdgefnError):
    """A rollback to a revision that cannot serve."""

    code = "conflict"


class Deployments:
    """What happens to functions, one thing at a time for each name.

    Args:
        state: Remembers the revisions.
        bundles: Has their files.
        catalog: The revisions that can be started, by function and number; kept up here.
        control: Told what serves.
        launcher: Starts a new revision's first replica.
        logs: Of the functions.
    """

    def __init__(
        self,
        *,
        state: StateThread,
        bundles: Bundles,
        catalog: dict[tuple[str, int], Revision],
        control: ControlLoop,
        launcher: Launcher,
        logs: Logs,
    ) -> None:
        self._state = state
        self._bundles = bundles
        self._catalog = catalog
        self._control = control
        self._launcher = launcher
        self._logs = logs
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._files = asyncio.Lock()  # held while folders are made for revisions, or removed
        self._staging: set[tuple[str, int]] = set()

    async def restore(self) -> None:
        """Makes serve again what served when the box ended."""
        for row, manifest in await self._state.run(State.serving):
            reason = ""
            try:
                await asyncio.to_thread(self._bundles.write_out, manifest, row.digest)
            except (BlobMissing, DigestMismatch, OSError) as error:
                reason = f"its files are damaged ({error}): deploy it again"
            revision = self._revision(manifest, row.digest, row.number)
            self._catalog[row.name, row.number] = revision
            self._control.serve(revision, load_s=0.0)
            if reason:
                self._control.quarantine(row.name, reason)
        await self._collect_garbage()

    async def deploy(self, manifest: Manifest, *, note: str = "") -> None:
        """Returns once a new revision with this manifest serves.

        Raises:
            BlobMissing: A file was not uploaded. Nothing is recorded.
            DeploymentFailed: It did not come up. It is recorded as failed; what served serves on.
            LaunchFailed: The box cannot start a process now. Nothing is recorded.
        """
        name = manifest.spec.name
        async with self._locks[name]:
            number = await self._state.run(State.next_number, name)
            revision = self._revision(manifest, manifest.digest(), number)
            self._staging.add((name, number))
            try:
                await self._try(revision, note)
            finally:
                self._staging.discard((name, number))
            await self._collect_garbage()

    async def rollback(self, name: str, number: int | None) -> None:
        """Makes an earlier revision's bundle serve, as a new revision.

        Args:
            name: Of the function.
            number: Of the earlier revision; None: the newest before the one that serves.

        Raises:
            NotDeployed: Nothing is deployed under that name, or there is no such revision.
            RevisionRefused: It serves already, or never did.
            DeploymentFailed: It did not come up. What served serves on.
        """
        current = self.serving(name)
        rows = await self._state.run(State.history, name)
        row = rollback_target(rows, name, current.number, number)
        manifest = await self._state.run(State.manifest, name, row.number)
        await self.deploy(manifest, note=f"rollback to {row.number}")

    async def remove(self, name: str) -> None:
        """Takes a function off the box; returns when its replicas are gone.

        Raises:
            NotDeployed: Nothing is deployed under that name.
        """
        self.serving(name)
        async with self._locks[name]:
            self.serving(name)
            await self._state.run(State.remove, name)
            self._control.drop(name)
            await self._launcher.gone(name)
            self._logs.forget(name)
            await self._collect_garbage()

    async def history(self, name: str) -> list[RevisionRow]:
        """Returns all revisions that were deployed under a name, newest first.

        Raises:
            NotDeployed: There never was one.
        """
        rows = await self._state.run(State.history, name)
        if not rows:
            raise NotDeployed(f"no function {name!r} was ever deployed on this box")
        return rows

    def serving(self, name: str) -> Revision:
        """Returns the revision that serves.

        Raises:
            NotDeployed: Nothing is deployed under that name.
        """
        function = self._control.functions.get(name)
        if function is None:
            known = ", ".join(sorted(self._control.functions)) or "none"
            raise NotDeployed(f"no function {name!r} is deployed on this box (deployed: {known})")
        return function.serving

    async def _stage(self, revision: Revision) -> Replica:
        check_requirements(revision.spec.requirements)
        async with self._files:
            await asyncio.to_thread(self._bundles.write_out, revision.manifest, revision.digest)
            self._catalog[revision.function, revision.number] = revision
        return await stage(revision, self._launcher, self._logs)

    async def _try(self, revision: Revision, note: str) -> None:
        """Stages a revision, and makes it serve: first on the disk, then in the routes."""
        try:
            replica = await self._stage(revision)
        except DeploymentFailed as error:
            await self._record(revision, "failed", reason=error.message, note=note)
            if revision.function not in self._control.functions:
                self._logs.forget(revision.function)
            raise
        try:
            await self._record(revision, "serving", note=note)
        except BaseException:
            self._launcher.give_back(replica.id)
            raise
        self._control.serve(revision, load_s=replica.load_s)

    async def _record(
        self, revision: Revision, state: RevisionState, *, reason: str = "", note: str
    ) -> None:
        row = RevisionRow(
            name=revision.function,
            number=revision.number,
            digest=revision.digest,
            state=state,
            reason=reason,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            note=note,
        )
        await self._state.run(State.add, row, revision.manifest)

    async def _collect_garbage(self) -> None:
        """Removes folders that no process can need any more, and blobs that no rollback can."""
        async with self._files:
            replicas = self._launcher.replicas()
            needed = {(r.revision.function, r.revision.number) for r in replicas} | self._staging
            for function in self._control.functions.values():
                needed.add((function.serving.function, function.serving.number))
            for key in self._catalog.keys() - needed:
                del self._catalog[key]
            roots = {revision.digest for revision in self._catalog.values()}
            try:
                blobs = await self._state.run(State.blobs)
                if blobs is not None:
                    await asyncio.to_thread(self._bundles.keep, roots, blobs)
            except OSError as error:
                _log.warning("old bundles were not removed: %s", error)

    def _revision(self, manifest: Manifest, digest: str, number: int) -> Revision:
        return Revision(
            number=number,
            digest=digest,
            manifest=manifest,
            root=self._bundles.root(digest),
            variant=manifest.variants[0],
        )


def rollback_target(
    rows: list[RevisionRow], name: str, current: int, number: int | None
) -> RevisionRow:
    """Returns the line of a history to go back to.

    Args:
        rows: The history, newest first.
        name: Of the function.
        current: The revision that serves.
        number: The one that is wanted; None: the newest before the one that serves.

    Raises:
        NotDeployed: There is no such revision.
        RevisionRefused: It serves already, or it never served.
    """
    if number is None:
        earlier = [row for row in rows if row.number < current and row.state == "superseded"]
        if not earlier:
            raise RevisionRefused(f"no revision of {name} served before the one that serves now")
        return earlier[0]
    for row in rows:
        if row.number != number:
            continue
        if number == current:
            raise RevisionRefused(f"revision {number} of {name} serves already")
        if row.state == "failed":
            raise RevisionRefused(f"revision {number} of {name} never served: {row.reason}")
        return row
    raise NotDeployed(f"{name} has no revision {number}; `edgefn history {name}` lists them")
