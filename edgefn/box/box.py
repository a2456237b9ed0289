"""The box: its parts, wired together, and ended in order."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Final

from edgefn.access.table import AccessTable
from edgefn.box.access import Access
from edgefn.box.admin import Admin
from edgefn.box.bundles import Bundles
from edgefn.box.companion import Companion
from edgefn.box.config import BoxConfig
from edgefn.box.control_loop import ControlLoop
from edgefn.box.deployments import Deployments
from edgefn.box.environments import Environments
from edgefn.box.events import Events
from edgefn.box.fleet_config import membership_of, open_access
from edgefn.box.following.following import Following, Parts
from edgefn.box.gateway_configs import gateway_configs
from edgefn.box.gateways import Gateways
from edgefn.box.hub.desired import Desired
from edgefn.box.hub.opening import make_hub, open_desired
from edgefn.box.launcher import Launcher
from edgefn.box.leasing.desk import LeaseDesk
from edgefn.box.leasing.port import LeasePort
from edgefn.box.listen import Listeners, check_peers
from edgefn.box.lock import StateLock
from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs
from edgefn.box.optimised import OptimisedModels
from edgefn.box.outbox.outbox import Outbox
from edgefn.box.overview import Addresses, Overview
from edgefn.box.ray_host import check_ray, ray_host
from edgefn.box.reporting import Followed
from edgefn.box.revision import Revision
from edgefn.box.run_directory import RunDirectory
from edgefn.box.state import StateThread
from edgefn.box.totals import Totals
from edgefn.box.trust import Trust
from edgefn.bundle.keys import config_dir
from edgefn.bundle.store import BlobStore
from edgefn.desired.report import BoxReport
from edgefn.gateway.control import FunctionRoute, Marked, Report, Suspect
from edgefn_runtime.lease_words import STATE_DIR
from edgefn_runtime.manifest import Alert

DRAIN_S: Final = 10.0  # for gateways to answer what is under way, and then for replicas to end
GATEWAY_MARGIN_S: Final = 1.0  # a gateway keeps the same budget by itself

_log = logging.getLogger(__name__)


class Box:
    """One machine's processes: this parent, its gateways, its forkserver, the replicas.

    `run` may be called once.
    """

    def __init__(self, config: BoxConfig) -> None:
        self._config = config
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Has the box answer what is under way, and end."""
        self._stop.set()

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Runs the box until `stop` is called.

        Args:
            on_ready: Called with the URL once calls are accepted.

        Raises:
            StateLocked: Another box uses the state directory.
            ConfigError: The address cannot be listened on, or the state cannot be read.
        """
        config = self._config
        with ExitStack() as held:
            lock = StateLock.acquire(config.state_dir)
            held.callback(lock.release)
            listeners = Listeners.bind(
                config.host, config.port, config.gateways, insecure=config.insecure
            )
            held.callback(listeners.close)
            check_peers(config.peers)
            check_ray(config)
            for_peers = Listeners.bind_for_peers(
                config.peer_host, config.peer_port, config.gateways
            )
            held.callback(for_peers.close)
            secure = Listeners.bind_secure(config.listen, config.gateways)
            held.callback(secure.close)
            run_directory = RunDirectory.create(config.state_dir, os.environ)
            held.callback(run_directory.remove)
            async with (
                aclosing(await StateThread.open(config.state_dir / "state.db")) as state,
                open_access(config) as access,
                aclosing(await _open_outbox(config)) as outbox,
                open_desired(config) as desired,
            ):
                opened = _Opened(
                    listeners=listeners,
                    for_peers=for_peers,
                    secure=secure,
                    run_directory=run_directory,
                    state=state,
                    access=access,
                    outbox=outbox,
                    desired=desired,
                )
                running = _Running(config, opened)
                await running.serve(lock, on_ready, self._stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What a box has open from its start to its end."""

    listeners: Listeners
    for_peers: Listeners
    secure: Listeners
    run_directory: RunDirectory
    state: StateThread
    access: Access
    outbox: Outbox
    desired: Desired | None


class _Running:
    """The parts of a box that runs; hears what its gateways say (`GatewayListener`)."""

    def __init__(self, config: BoxConfig, opened: _Opened) -> None:
        self._config = config
        self._url = opened.listeners.url
        self._access = opened.access
        self._run_directory = opened.run_directory.path
        self._totals = Totals()
        self._store = BlobStore(config.state_dir / "blobs")
        self._logs = Logs(LogFiles(config.state_dir / "logs"))
        self._control = ControlLoop(totals=self._totals, publish=self._publish)
        environments = Environments(config.state_dir / "environments")
        self._optimised = OptimisedModels(
            config.state_dir / "optimised", environments, self._control.served_here
        )
        catalog: dict[tuple[str, int], Revision] = {}
        self._launcher = Launcher(
            catalog=catalog,
            environments=environments,
            run_directory=self._run_directory,
            logs=self._logs,
            listener=self._control,
            before_drain=lambda: self._gateways.routed(),
        )
        self._control.attach(self._launcher)
        self._deployments = self._make_deployments(opened.state, catalog, environments)
        self._leases = LeasePort(LeaseDesk(self._control))
        self._events = Events(opened.outbox, self._alerts_of)
        self._overview = self._make_overview(opened)
        self._hub = make_hub(
            config, opened.desired, opened.access, self._control.serving, self._report
        )
        self._gateways = self._make_gateways(opened)
        opened.access.attach(self._publish_access)
        self._following = self._make_following()
        if self._hub is not None:
            self._leases.attach(self._hub)
        elif self._following is not None:
            self._leases.attach(self._following.fleet)

    def _make_deployments(
        self,
        state: StateThread,
        catalog: dict[tuple[str, int], Revision],
        environments: Environments,
    ) -> Deployments:
        folder = self._config.state_dir
        return Deployments(
            state=state,
            bundles=Bundles(folder / "revisions", self._store),
            environments=environments,
            optimised=self._optimised,
            trust=Trust(folder, config_dir(os.environ)),
            catalog=catalog,
            control=self._control,
            launcher=self._launcher,
            logs=self._logs,
            membership=membership_of(self._config),
        )

    def _make_overview(self, opened: _Opened) -> Overview:
        return Overview(
            self._config,
            addresses=Addresses(
                url=opened.listeners.url,
                peer=opened.for_peers.address,
                secure=opened.secure.address,
            ),
            control=self._control,
            launcher=self._launcher,
            totals=self._totals,
            gateways=lambda: self._gateways.pids(),
            events=self._events,
            store=self._store,
        )

    def _make_gateways(self, opened: _Opened) -> Gateways:
        admin = Admin(
            box=self._overview,
            deployments=self._deployments,
            logs=self._logs,
            access=opened.access,
            events=self._events,
            hub=self._hub,
        )
        return Gateways(
            gateway_configs(self._config),
            opened.listeners.sockets,
            opened.for_peers.sockets,
            secure=opened.secure.sockets,
            listener=self,
            answer=admin.answer,
        )

    def _make_following(self) -> Following | None:
        parts = Parts(
            deployments=self._deployments,
            functions=self._control.functions,
            store=self._store,
            access=self._access,
            publish_upstreams=self._gateways.publish_upstreams,
            own_report=self._report,
        )
        return Following.open(self._config, parts)

    async def serve(
        self, lock: StateLock, on_ready: Callable[[str], None], stop: asyncio.Event
    ) -> None:
        """Brings back what was deployed, serves until told to stop, and drains."""
        try:
            async with asyncio.TaskGroup() as group:
                loops = [
                    group.create_task(self._launcher.keep()),
                    group.create_task(self._logs.keep_writing()),
                    group.create_task(self._access.keep_renewed()),
                ]
                await self._deployments.restore()
                await self._leases.open(self._run_directory)
                if self._hub is not None:
                    await self._hub.look()
                    loops.append(group.create_task(self._hub.keep()))
                loops.append(group.create_task(self._control.run()))
                loops.append(group.create_task(self._gateways.keep()))
                loops.append(group.create_task(self._deployments.mend()))
                loops.append(group.create_task(self._optimised.keep_making()))
                beside = [group.create_task(one.keep()) for one in _companions(self._config)]
                if self._following is not None:
                    beside.append(group.create_task(self._following.keep()))
                if await self._started(stop):
                    lock.tell(self._url)
                    on_ready(self._url)
                    await stop.wait()
                self._logs.release()
                if self._hub is not None:
                    self._hub.release()
                for task in beside:
                    task.cancel()
                await self._leases.aclose()
                await self._gateways.stop(DRAIN_S + GATEWAY_MARGIN_S)
                self._control.detach()
                await self._launcher.drain_all(DRAIN_S)
                for loop in loops:
                    loop.cancel()
        finally:
            await self._events.aclose()
            await self._logs.aclose()

    async def _started(self, stop: asyncio.Event) -> bool:
        """Returns whether all gateways accept connections before the box is told to stop."""
        started = asyncio.create_task(self._gateways.started())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((started, stopped), return_when=asyncio.FIRST_COMPLETED)
            return started.done()
        finally:
            started.cancel()
            stopped.cancel()

    def _alerts_of(self, name: str) -> tuple[Alert, ...]:
        function = self._control.functions.get(name)
        return function.serving.spec.on_result if function is not None else ()

    def _report(self) -> BoxReport:
        if self._following is not None:
            return self._overview.report(self._following.followed())
        in_cluster = self._hub is not None and self._hub.in_cluster
        return self._overview.report(Followed(in_cluster=in_cluster))

    def _publish(self, routes: tuple[FunctionRoute, ...]) -> None:
        self._gateways.publish(routes)
        if self._hub is not None:
            self._hub.wake()

    def _publish_access(self, table: AccessTable) -> None:
        self._gateways.publish_access(table)
        if self._hub is not None:
            self._hub.wake()

    # What gateways say (`GatewayListener`).

    def reported(self, report: Report) -> None:
        """Adds up what a gateway did."""
        self._totals.add(report)

    def gateway_ended(self, gateway: int) -> None:
        """Forgets what a gateway held."""
        self._totals.forget_gateway(gateway)

    def woken(self, function: str, variant: str) -> None:
        """Starts a replica for a call that waits."""
        self._control.wake(function, variant)

    def suspected(self, suspect: Suspect) -> None:
        """Looks at a replica."""
        self._launcher.suspect(suspect.replica, suspect.reason)

    def marked(self, marked: Marked) -> None:
        """Takes what alerts saw in answers."""
        self._events.marked(marked)


async def _open_outbox(config: BoxConfig) -> Outbox:
    folder = config.state_dir
    return await Outbox.open(folder / "outbox.db", folder / "events", config.name)


def _companions(config: BoxConfig) -> list[Companion]:
    if not config.ray:
        return []
    environ = {**os.environ, STATE_DIR: str(config.state_dir)}
    return [Companion("edgefn.fleet", ["--host", ray_host(config)], environ=environ)]
