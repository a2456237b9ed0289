"""The box: its parts, wired together, and ended in order."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from typing import Any, Final

import edgefn
from edgefn.box.access import Access
from edgefn.box.admin import Admin
from edgefn.box.bundles import Bundles
from edgefn.box.config import BoxConfig
from edgefn.box.control_loop import ControlLoop
from edgefn.box.counts import box_counts
from edgefn.box.deployments import Deployments
from edgefn.box.environments import Environments
from edgefn.box.events import Events
from edgefn.box.fleet_config import open_access, tls_files, upstreams
from edgefn.box.gateways import Gateways
from edgefn.box.launcher import Launcher
from edgefn.box.listen import Listeners, check_peers
from edgefn.box.lock import StateLock
from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs
from edgefn.box.metrics import CONTENT_TYPE, BoxCollector, render
from edgefn.box.optimised import OptimisedModels
from edgefn.box.outbox.outbox import Outbox
from edgefn.box.revision import Revision
from edgefn.box.run_directory import RunDirectory
from edgefn.box.state import StateThread
from edgefn.box.status import function_status, memory_of
from edgefn.box.totals import Totals
from edgefn.box.trust import Trust
from edgefn.bundle.keys import config_dir
from edgefn.bundle.partial import PartialBlobs
from edgefn.bundle.store import BlobStore
from edgefn.gateway.control import GatewayConfig, Marked, Report, Suspect
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
            ):
                running = _Running(
                    config, listeners, for_peers, secure, run_directory, state, access, outbox
                )
                await running.serve(lock, on_ready, self._stop)


class _Running:
    """The parts of a box that runs; hears what its gateways say (`GatewayListener`)."""

    def __init__(
        self,
        config: BoxConfig,
        listeners: Listeners,
        for_peers: Listeners,
        secure: Listeners,
        run_directory: RunDirectory,
        state: StateThread,
        access: Access,
        outbox: Outbox,
    ) -> None:
        self._config = config
        self._url = listeners.url
        self._peer_address = for_peers.address
        self._secure_url = f"https://{secure.address}" if secure.sockets else ""
        self._access = access
        self._started_at = datetime.now(UTC)
        self._totals = Totals()
        self._store = BlobStore(config.state_dir / "blobs")
        self._logs = Logs(LogFiles(config.state_dir / "logs"))
        self._control = ControlLoop(
            totals=self._totals, publish=lambda routes: self._gateways.publish(routes)
        )
        catalog: dict[tuple[str, int], Revision] = {}
        environments = Environments(config.state_dir / "environments")
        self._optimised = OptimisedModels(
            config.state_dir / "optimised", environments, self._control.serving
        )
        self._launcher = Launcher(
            catalog=catalog,
            environments=environments,
            run_directory=run_directory.path,
            logs=self._logs,
            listener=self._control,
            before_drain=lambda: self._gateways.routed(),
        )
        self._control.attach(self._launcher)
        self._deployments = Deployments(
            state=state,
            bundles=Bundles(config.state_dir / "revisions", self._store),
            environments=environments,
            optimised=self._optimised,
            trust=Trust(config.state_dir, config_dir(os.environ)),
            catalog=catalog,
            control=self._control,
            launcher=self._launcher,
            logs=self._logs,
        )
        self._events = Events(outbox, self._alerts_of)
        admin = Admin(
            box=self,
            deployments=self._deployments,
            logs=self._logs,
            access=access,
            events=self._events,
        )
        self._gateways = Gateways(
            _gateway_configs(config),
            listeners.sockets,
            for_peers.sockets,
            secure=secure.sockets,
            listener=self,
            answer=admin.answer,
        )
        access.attach(self._gateways.publish_access)

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
                loops.append(group.create_task(self._control.run()))
                loops.append(group.create_task(self._gateways.keep()))
                loops.append(group.create_task(self._deployments.mend()))
                loops.append(group.create_task(self._optimised.keep_making()))
                if await self._started(stop):
                    lock.tell(self._url)
                    on_ready(self._url)
                    await stop.wait()
                self._logs.release()
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

    # What operators see (`admin.Observed`).

    async def box_status(self) -> dict[str, Any]:
        """Returns all that the box says of itself."""
        config = self._config
        return {
            "box": config.name,
            "tier": config.tier,
            "version": edgefn.__version__,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "url": self._url,
            "site": _site(config),
            "peer_address": self._peer_address,
            "secure_url": self._secure_url,
            "state_dir": str(config.state_dir),
            "gateways": [
                {"gateway": gateway, "pid": pid, "connections": self._totals.connections(gateway)}
                for gateway, pid in self._gateways.pids().items()
            ],
            "places": self._totals.places(),
            "functions": await self.function_statuses(),
        }

    async def function_statuses(self, *names: str) -> list[dict[str, Any]]:
        """Returns the status of those of these functions that are deployed, or of all."""
        memory = await memory_of(self._launcher.replicas())
        functions = self._control.functions
        return [
            function_status(functions[name], self._launcher.replicas(), memory, self._totals)
            for name in sorted(names or functions)
            if name in functions
        ]

    def counts(self) -> dict[str, Any]:
        """Returns what it has counted since it started."""
        return box_counts(
            box=self._config.name,
            tier=self._config.tier,
            functions=self._control.functions.values(),
            replicas=self._launcher.replicas(),
            totals=self._totals,
            gateways=self._gateways.pids(),
        )

    def metrics(self) -> tuple[bytes, str]:
        """Returns the metrics, and their content type."""
        collector = BoxCollector(
            version=edgefn.__version__,
            functions=self._control.functions.values(),
            replicas=self._launcher.replicas(),
            totals=self._totals,
            gateways=self._gateways.pids(),
            events=self._events.counts(),
        )
        return render(collector), CONTENT_TYPE

    def missing_blobs(self, digests: list[str]) -> list[str]:
        """Returns what the store lacks."""
        return self._store.missing(digests)

    def partial_blobs(self, digests: list[str]) -> dict[str, int]:
        """Returns how many bytes came of those blobs of which some did."""
        return PartialBlobs(self._store).sizes(digests)


async def _open_outbox(config: BoxConfig) -> Outbox:
    folder = config.state_dir
    return await Outbox.open(folder / "outbox.db", folder / "events", config.name)


def _gateway_configs(config: BoxConfig) -> list[GatewayConfig]:
    return [
        GatewayConfig(
            gateway=number,
            box=config.name,
            tier=config.tier,
            listen_fd=-1,  # known when it is started
            control_fd=-1,
            store=str(config.state_dir / "blobs"),
            site=_site(config),
            peers=config.peers,
            tls=tls_files(config),
            upstreams=upstreams(config),
        )
        for number in range(config.gateways)
    ]


def _site(config: BoxConfig) -> str:
    return config.site or config.name
