"""Deploying, rolling back and removing functions: old or new, never a mixture, and remembered."""

import asyncio
import logging
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

from edgefn.box.bundles import Bundles
from edgefn.box.control_loop import ControlLoop
from edgefn.box.environments import Environments
from edgefn.box.fitting import check_fits, may_be_tried
from edgefn.box.garbage import Garbage
from edgefn.box.launcher import Launcher
from edgefn.box.logs import Logs
from edgefn.box.membership import Membership
from edgefn.box.optimised import OptimisedModels
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.box.rollback import rollback_target
from edgefn.box.staging import match, stage
from edgefn.box.state import RevisionRow, RevisionState, State, StateThread
from edgefn.box.trust import Trust
from edgefn.box.variants import refusals
from edgefn.box.wheels import check_environment, this_machine
from edgefn.bundle.lock import InvalidLock
from edgefn.bundle.signing import Signature
from edgefn.bundle.store import BlobMissing, DigestMismatch
from edgefn.errors import DeploymentFailed, NotDeployed
from edgefn_runtime.manifest import Manifest

_log = logging.getLogger(__name__)


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
        membership: What the box is in its fleet.
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
        membership: Membership | None = None,
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
        self._membership = membership or Membership()
        self.damaged: set[str] = set()  # functions whose files were not whole at the start
        self.followed: set[str] = set()  # those that a hub brought
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._garbage = Garbage(
            state=state,
            bundles=bundles,
            environments=environments,
            optimised=optimised,
            catalog=catalog,
            launcher=launcher,
        )
        self._files = asyncio.Lock()  # held while folders are made for revisions, or removed
        self._staging: set[tuple[str, int]] = set()
        self._lacking: list[Revision] = []  # serving, but for their environment

    async def restore(self) -> None:
        """Makes serve again what served when the box ended."""
        for row, manifest in await self._state.run(State.serving):
            revision = self._revision(manifest, row.digest, row.number, row.signature)
            reason = "" if revision.elsewhere else await self._written_out(revision)
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

    async def _written_out(self, revision: Revision) -> str:
        """Makes sure that a revision's files are there; returns why it cannot be served."""
        try:
            await asyncio.to_thread(self._bundles.write_out, revision.manifest, revision.digest)
        except (BlobMissing, DigestMismatch, OSError) as error:
            self.damaged.add(revision.function)
            return f"its files are damaged ({error}): deploy it again"
        return revision.unservable_because

    async def mend(self) -> None:
        """Installs what `restore` found missing, and lets those functions serve again."""
        for revision in self._lacking:
            async with self._locks[revision.function]:
                function = self._control.functions.get(revision.function)
                if function is not None and function.serving is revision:
                    await self._mend(revision)

    async def _mend(self, revision: Revision) -> None:
        try:
            check_environment(revision.manifest, this_machine())
            await self._install(revision)
        except (DeploymentFailed, InvalidLock) as error:
            self._control.quarantine(revision.function, error.message)
            return
        self._want_environments()
        self._control.serve(revision, load_s=0.0)
        self._optimised.look()

    def check_free(self) -> None:
        """Makes sure that operators may deploy here.

        Raises:
            FollowsHub: This box serves what its hub says.
        """
        self._membership.check_free("deploy", "edgefn deploy FOLDER --to")

    async def deploy(self, manifest: Manifest, signature: Signature | None) -> None:
        """Returns once a new revision with this manifest serves.

        Raises:
            FollowsHub: This box serves what its hub says.
            Untrusted: Nobody signed it whom the box trusts. Nothing is recorded.
            BadSignature: It is not what was signed. Nothing is recorded.
            Expired: It was to be used up to some instant only. Nothing is recorded.
            Older: What was signed later served already. Nothing is recorded.
            BlobMissing: A file was not uploaded. Nothing is recorded.
            DeploymentFailed: It did not come up. It is recorded as failed; what served serves on.
            LaunchFailed: The box cannot start a process now. Nothing is recorded.
        """
        self.check_free()
        name = manifest.spec.name
        async with self._locks[name]:
            newest = await self._state.run(State.newest, name)
            await asyncio.to_thread(self._trust.admit, signature, manifest.digest(), newest)
            await self._bring_up(manifest, signature, note="")

    async def follow(
        self,
        manifest: Manifest,
        signature: Signature | None,
        *,
        trusted: tuple[str, ...] | None,
        note: str,
    ) -> None:
        """Returns once a new revision with this manifest serves, or is known to be for others.

        The hub decides which bundle follows which: after a rollback there, what comes was signed
        earlier, and what it has served for long may have expired for new deployments.

        Args:
            manifest: As it came from the hub.
            signature: That came with it.
            trusted: Keys that the hub trusts; None: it keeps no list.
            note: For the history.

        Raises:
            Untrusted, BadSignature, BlobMissing, DeploymentFailed, LaunchFailed: As `deploy`.
        """
        name, digest = manifest.spec.name, manifest.digest()
        async with self._locks[name]:
            await asyncio.to_thread(self._trust.check_followed, signature, digest, trusted)
            await self._bring_up(manifest, signature, note=note)
            self.damaged.discard(name)

    def announce(self, manifest: Manifest, reason: str) -> None:
        """Has calls of a function that is not here yet, or does not come up, answered by peers.

        It is not recorded, and does nothing where any revision of the function was deployed.

        Args:
            manifest: As it came from the hub.
            reason: Why it does not serve here.
        """
        function = self._control.functions.get(manifest.spec.name)
        if function is None or function.serving.is_announced:
            announced = self._revision(manifest, manifest.digest(), 0, None)
            self._control.serve(replace(announced, elsewhere=reason), load_s=0.0)

    async def rollback(self, name: str, number: int | None) -> None:
        """Makes an earlier revision's bundle serve, as a new revision.

        Args:
            name: Of the function.
            number: Of the earlier revision; None: the newest before the one that serves.

        Raises:
            FollowsHub: This box serves what its hub says.
            NotDeployed: Nothing is deployed under that name, or there is no such revision.
            RevisionRefused: It serves already, never did, or was removed.
            Untrusted: Nobody signed it whom the box still trusts.
            BadSignature: What the box remembers of it is not what was signed.
            DeploymentFailed: It did not come up. What served serves on.
        """
        self._membership.check_free("roll back", f"edgefn rollback {name} --url")
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
            FollowsHub: A hub brought it. What was here before the box joined may be removed.
            NotDeployed: Nothing is deployed under that name.
        """
        if name in self.followed:
            self._membership.check_free("remove it", f"edgefn rm {name} --url")
        await self.drop(name)

    async def drop(self, name: str) -> None:
        """Takes a function off the box, whoever brought it.

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

    def elsewhere(self, manifest: Manifest) -> str:
        """Returns why a bundle is for other boxes alone; empty if it is served here."""
        return self._membership.elsewhere(manifest, refusals(manifest))

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

    async def _staged(self, revision: Revision) -> Replica | None:
        """Returns a replica of a revision that was seen to work; None if it is for others.

        A hub tries also what it does not serve, as far as it can, so that its operator hears at
        once of a bad bundle. A box that follows it does not even have the files.
        """
        if not revision.elsewhere:
            check_fits(revision)
            return await self._stage(revision)
        if not self._membership.hub and may_be_tried(revision):
            self._launcher.give_back((await self._stage(revision)).id)
        self._catalog[revision.function, revision.number] = revision
        return None

    async def _stage(self, revision: Revision) -> Replica:
        async with self._files:
            await asyncio.to_thread(self._bundles.write_out, revision.manifest, revision.digest)
            self._catalog[revision.function, revision.number] = revision
        await self._install(revision)
        return await stage(revision, self._launcher, self._logs)

    async def _install(self, revision: Revision) -> None:
        if revision.manifest.environment is not None:
            await self._environments.install(revision.manifest.environment, revision.root)

    def _has_environment(self, revision: Revision) -> bool:
        environment = revision.manifest.environment
        if environment is None or revision.elsewhere:
            return True
        return self._environments.is_installed(environment)

    def _want_environments(self) -> None:
        """Says which forkservers are to be warm: those of what serves, or is about to."""
        functions = self._control.functions.values()
        serving = [each.serving for each in functions if not each.serving.elsewhere]
        staged = [self._catalog[key] for key in self._staging if key in self._catalog]
        needed = [each for each in (*serving, *staged) if self._has_environment(each)]
        self._launcher.want({each.environment for each in needed})

    async def _try(self, revision: Revision, note: str) -> None:
        """Stages a revision, and makes it serve: first on the disk, then in the routes."""
        try:
            replica = await self._staged(revision)
        except DeploymentFailed as error:
            await self._record(revision, "failed", reason=error.message, note=note)
            if revision.function not in self._control.functions:
                self._logs.forget(revision.function)
            raise
        try:
            if replica is not None:
                await match(replica, self._control.size(revision.function), self._launcher)
            await self._record(revision, "serving", note=note)
        except BaseException:
            for one in self._launcher.replicas():
                if one.revision is revision:
                    self._launcher.give_back(one.id)
            raise
        self._control.serve(revision, load_s=0.0 if replica is None else replica.load_s)

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
        serving = {
            (function.serving.function, function.serving.number)
            for function in self._control.functions.values()
        }
        async with self._files:
            await self._garbage.collect(serving | self._staging)

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
            elsewhere=self.elsewhere(manifest),
        )
