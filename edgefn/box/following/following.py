"""A box that follows a hub: what it was told counts from its start on, and is kept up to date."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgefn.access.certificates import fingerprint_of
from edgefn.access.files import AccessFiles, read_secret
from edgefn.box.access import Access
from edgefn.box.config import BoxConfig
from edgefn.box.deployments import Deployments
from edgefn.box.following.fetching import Fetcher
from edgefn.box.following.fleet import FollowedFleet
from edgefn.box.following.hub import Hub
from edgefn.box.following.links import dialled
from edgefn.box.following.memory import Memory
from edgefn.box.following.pull import keep_pulling, keep_reporting
from edgefn.box.following.reconciler import ON_ITS_WAY, Reconciler
from edgefn.box.functions import Function
from edgefn.box.reporting import Followed, Overdue
from edgefn.bundle.store import BlobStore
from edgefn.desired.report import BoxReport
from edgefn.desired.state import DesiredState
from edgefn.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a box that follow what a hub says.

    Attributes:
        deployments: What serves.
        functions: What serves now, by name.
        store: Of blobs.
        access: Who may do what.
        publish_upstreams: Tells gateways whom to dial beside the hub.
        own_report: Returns what the box says of itself.
    """

    deployments: Deployments
    functions: Mapping[str, Function]
    store: BlobStore
    access: Access
    publish_upstreams: Callable[[tuple[str, ...]], None]
    own_report: Callable[[], BoxReport]


class Following:
    """What a box does as one of a fleet. Made by `open`.

    Args:
        config: Of the box.
        memory: What the hub said last.
        parts: Of the box.

    Attributes:
        fleet: For whoever places replicas here.
    """

    def __init__(self, config: BoxConfig, memory: Memory, parts: Parts) -> None:
        self._config = config
        self._memory = memory
        self._parts = parts
        self.fleet = FollowedFleet(
            box=config.name, tier=config.tier, site=config.site or config.name
        )
        from edgefn.client.hub import HubConnection  # 9 MB that a box alone does without

        files = AccessFiles(config.state_dir)
        # One connection for each: what waits, or takes long, keeps nothing else from the hub.
        self._hubs = [Hub(HubConnection(files)) for _ in range(3)]
        self._reconciler = Reconciler(
            memory=memory,
            deployments=parts.deployments,
            functions=parts.functions,
            fetcher=Fetcher(self._hubs[1], parts.store),
            is_served=lambda manifest: not parts.deployments.elsewhere(manifest),
        )

    @classmethod
    def open(cls, config: BoxConfig, parts: Parts) -> "Following | None":
        """Reads what is remembered; None if the box is in no fleet, or its hub. Blocks.

        Raises:
            ConfigError: A file is damaged, or others could read it.
        """
        files = AccessFiles(config.state_dir)
        if not files.hub():
            return None
        pem = read_secret(files.fleet)
        if pem is None:
            raise ConfigError(f"{files.fleet} is missing: join the fleet again, with a new token")
        following = cls(config, Memory.open(config.state_dir, fingerprint_of(pem)), parts)
        if following._memory.state is not None:
            following._apply(following._memory.state)
        return following

    async def keep(self) -> None:
        """Follows the hub until cancelled."""
        pulling, _, reporting = self._hubs
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_pulling(pulling, lambda: self._memory.state, self._take))
                group.create_task(self._reconciler.keep())
                group.create_task(keep_reporting(reporting, self._parts.own_report))
        finally:
            for hub in self._hubs:
                await hub.aclose()

    def followed(self) -> Followed:
        """Returns how far the box came with what its hub wants."""
        epoch, revision = self._reconciler.tried
        return Followed(
            epoch=epoch,
            revision=revision,
            overdue=self._overdue(),
            in_cluster=self.fleet.in_cluster,
        )

    def _overdue(self) -> dict[str, Overdue]:
        state = self._memory.state
        found: dict[str, Overdue] = {}
        for wanted in state.functions if state is not None else ():
            failure = self._reconciler.failures.get(wanted.name)
            function = self._parts.functions.get(wanted.name)
            if failure is not None and failure.is_of(wanted):
                found[wanted.name] = Overdue(
                    "pending" if failure.is_waiting else "failed", failure.reason
                )
            elif (
                function is None
                or function.serving.is_announced
                or function.serving.digest != wanted.digest
            ):
                found[wanted.name] = Overdue("pending", ON_ITS_WAY)
        return found

    async def _take(self, state: DesiredState) -> None:
        """Remembers what the hub wants, then does it: in this order, for the box may be killed."""
        await self._memory.take(state)
        self._apply(state)

    def _apply(self, state: DesiredState) -> None:
        config = self._config
        self._parts.access.follow(state.access)
        self._parts.publish_upstreams(
            dialled(state.upstreams, box=config.name, tier=config.tier, listens=bool(config.listen))
        )
        self.fleet.tell(state.ray)
        self._reconciler.look()
