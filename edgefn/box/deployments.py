"""Deploying, rolling back and removing functions: old or new, never a mixture, and remembered."""

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime

import edgefn
from edgefn.box.bundles import Bundles
from edgefn.box.compatibility import check_runtime
from edgefn.box.control_loop import ControlLoop
from edgefn.box.environments import Environments
from edgefn.box.launcher import Launcher
from edgefn.box.logs import Logs
from edgefn.box.optimised import OptimisedModels
from edgefn.box.replica import Replica
from edgefn.box.requirements import check_requirements
from edgefn.box.revision import Revision
from edgefn.box.staging import match, stage
from edgefn.box.state import RevisionRow, RevisionState, State, StateThread
from edgefn.box.trust import Trust
from edgefn.box.variants import refusals
from edgefn.box.wheels import check_environment, this_machine
from edgefn.bundle.lock import InvalidLock
from edgefn.bundle.signing import Signature
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
        environments: Has what they need beside what the box has.
        optimised: Has forms of their models that load faster.
        trust: Says whose bundles may serve.
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
        environments: Environments,
        optimised: OptimisedModels,
        trust: Trust,
        catalog: dict[tuple[str, int], Revision],
        control: ControlLoop,
        launcher: Launcher,
        logs: Logs,
    ) -> None:
        self._state = state
        self._bundles = bundles
        self._environments = environments
        self._optimised = optimised
        self._trust = trust
        self._catalog = catalog
        self._control = control
        self._launcher = launcher
        self._logs = logs
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._files = asyncio.Lock()  # held while folders are made for revisions, or removed
        self._staging: set[tuple[str, int]] = set()
        self._lacking: list[Revision] = []  # serving, but for their environment

    async def restore(self) -> None:
        """Makes serve again what served when the box ended."""
        for row, manifest in await self._state.run(State.serving):
            reason = ""
            try:
                await asyncio.to_thread(self._bundles.write_out, manifest, row.digest)
            except (BlobMissing, DigestMismatch, OSError) as error:
                reason = f"its files are damaged ({error}): deploy it again"
            revision = self._revision(manifest, row.digest, row.number, row.signature)
            reason = reason or revision.unservable_because
            self._catalog[row.name, row.number] = revision
            self._control.serve(revision, load_s=0.0)
            if not reason and not self._has_environment(revision):
                reason = "its environment is being installed again"
                self._lacking.append(revision)
            if reason:
                self._control.quarantine(row.name, reason)
        self._want_environments()
        await self._collect_garbage()
        self._optimised.look()

    async def mend(self) -> None:
        """Installs what `restore` found missing, and lets those functions serve again."""
        for revision in self._lacking:
            async with self._locks[revision.function]:
                function = self._control.functions.get(revision.function)
                if function is not None and function.serving is revision:
                    await self._mend(revision)

    async def _mend(self, revision: Revision) -> None:
        try:
            await self._install(revision)
        except (DeploymentFailed, InvalidLock) as error:
            self._control.quarantine(revision.function, error.message)
            return
        self._want_environments()
        self._control.serve(revision, load_s=0.0)
        self._optimised.look()

    async def deploy(self, manifest: Manifest, signature: Signature | None) -> None:
        """Returns once a new revision with this manifest serves.

        Raises:
            Untrusted: Nobody signed it whom the box trusts. Nothing is recorded.
            BadSignature: It is not what was signed. Nothing is recorded.
            Expired: It was to be used up to some instant only. Nothing is recorded.
            Older: What was signed later served already. Nothing is recorded.
            BlobMissing: A file was not uploaded. Nothing is recorded.
            DeploymentFailed: It did not come up. It is recorded as failed; what served serves on.
            LaunchFailed: The box cannot start a process now. Nothing is recorded.
        """
        name = manifest.spec.name
        async with self._locks[name]:
            newest = await self._state.run(State.newest, name)
            await asyncio.to_thread(self._trust.admit, signature, manifest.digest(), newest)
            await self._bring_up(manifest, signature, note="")

    async def rollback(self, name: str, number: int | None) -> None:
        """Makes an earlier revision's bundle serve, as a new revision.

        Args:
            name: Of the function.
            number: Of the earlier revision; None: the newest before the one that serves.

        Raises:
            NotDeployed: Nothing is deployed under that name, or there is no such revision.
            RevisionRefused: It serves already, never did, or was removed.
            Untrusted: Nobody signed it whom the box still trusts.
            BadSignature: What the box remembers of it is not what was signed.
            DeploymentFailed: It did not come up. What served serves on.
        """
        self.serving(name)
        async with self._locks[name]:
            rows = await self._state.run(State.history, name)
            row = rollback_target(rows, name, self.serving(name).number, number)
            manifest = await self._state.run(State.manifest, name, row.number)
            await asyncio.to_thread(self._trust.check, row.signature, manifest.digest())
            await self._bring_up(manifest, row.signature, note=f"rollback to {row.number}")

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
            self._want_environments()
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

    async def _bring_up(
        self, manifest: Manifest, signature: Signature | None, *, note: str
    ) -> None:
        name = manifest.spec.name
        number = await self._state.run(State.next_number, name)
        revision = self._revision(manifest, manifest.digest(), number, signature)
        self._staging.add((name, number))
        try:
            await self._try(revision, note)
        finally:
            self._staging.discard((name, number))
            self._want_environments()
        await self._collect_garbage()
        self._optimised.look()

    async def _stage(self, revision: Revision) -> Replica:
        check_runtime(revision.manifest.runtime, edgefn.__version__)
        if revision.manifest.environment is None:
            check_requirements(revision.spec.requirements)
        async with self._files:
            await asyncio.to_thread(self._bundles.write_out, revision.manifest, revision.digest)
            self._catalog[revision.function, revision.number] = revision
        await self._install(revision)
        return await stage(revision, self._launcher, self._logs)

    async def _install(self, revision: Revision) -> None:
        if revision.manifest.environment is not None:
            check_environment(revision.manifest, this_machine())
            await self._environments.install(revision.manifest.environment, revision.root)

    def _has_environment(self, revision: Revision) -> bool:
        environment = revision.manifest.environment
        return environment is None or self._environments.is_installed(environment)

    def _want_environments(self) -> None:
        """Says which forkservers are to be warm: those of what serves, or is about to."""
        serving = [function.serving for function in self._control.functions.values()]
        staged = [self._catalog[key] for key in self._staging if key in self._catalog]
        needed = [each for each in (*serving, *staged) if self._has_environment(each)]
        self._launcher.want({each.environment for each in needed})

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
            await match(replica, self._control.size(revision.function), self._launcher)
            await self._record(revision, "serving", note=note)
        except BaseException:
            for one in self._launcher.replicas():
                if one.revision is revision:
                    self._launcher.give_back(one.id)
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
            signature=revision.signature,
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
            environments = {revision.environment for revision in self._catalog.values()}
            try:
                if (kept := await self._state.run(State.environments)) is not None:
                    await asyncio.to_thread(self._environments.keep, environments | kept)
                blobs = await self._state.run(State.blobs)
                if blobs is not None:
                    await asyncio.to_thread(self._bundles.keep, roots, blobs)
                    await self._optimised.keep(blobs)
            except OSError as error:
                _log.warning("old bundles were not removed: %s", error)

    def _revision(
        self, manifest: Manifest, digest: str, number: int, signature: Signature | None
    ) -> Revision:
        return Revision(
            number=number,
            digest=digest,
            manifest=manifest,
            root=self._bundles.root(digest),
            signature=signature,
            refused=refusals(manifest),
            optimised=self._optimised.of(manifest.environment),
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
        RevisionRefused: It serves already, never did, or was removed.
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
        if row.state == "removed":
            raise RevisionRefused(
                f"revision {number} was removed with {name}, and its files too: deploy it again"
            )
        return row
    raise NotDeployed(f"{name} has no revision {number}; `edgefn history {name}` lists them")
