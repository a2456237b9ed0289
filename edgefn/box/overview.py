"""What can be seen of a box: by its operators, and by the hub of its fleet."""

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import edgefn
from edgefn.box.config import BoxConfig
from edgefn.box.control_loop import ControlLoop
from edgefn.box.counts import box_counts
from edgefn.box.events import Events
from edgefn.box.fleet_config import reached_at
from edgefn.box.gateway_configs import site_of
from edgefn.box.launcher import Launcher
from edgefn.box.metrics import CONTENT_TYPE, BoxCollector, render
from edgefn.box.reporting import Followed, build_report
from edgefn.box.status import function_status, memory_of
from edgefn.box.totals import Totals
from edgefn.bundle.partial import PartialBlobs
from edgefn.bundle.store import BlobStore
from edgefn.desired.report import BoxReport


class Addresses(NamedTuple):
    """Where a box is reached.

    Attributes:
        url: By its own machine.
        peer: By other boxes without TLS, as `host:port`; empty: nowhere.
        secure: With TLS, as `host:port`; empty: nowhere.
    """

    url: str
    peer: str
    secure: str

    @property
    def secure_port(self) -> int:
        """Where it listens with TLS; 0: nowhere."""
        return int(self.secure.rpartition(":")[2] or 0)


class Overview:
    """What a box says of itself; implements `admin.Observed`.

    Args:
        config: Of the box.
        addresses: Of the box.
        control: Has what is deployed.
        launcher: Has the replicas.
        totals: What gateways reported.
        gateways: Returns the process of each gateway, by its number.
        events: Counted in the metrics.
        store: Of blobs.
    """

    def __init__(
        self,
        config: BoxConfig,
        *,
        addresses: Addresses,
        control: ControlLoop,
        launcher: Launcher,
        totals: Totals,
        gateways: Callable[[], dict[int, int]],
        events: Events,
        store: BlobStore,
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._control = control
        self._launcher = launcher
        self._totals = totals
        self._gateways = gateways
        self._events = events
        self._store = store
        self._started_at = datetime.now(UTC)
        self._boot_id = secrets.token_hex(8)

    async def box_status(self) -> dict[str, Any]:
        """Returns all that the box says of itself."""
        config, addresses = self._config, self._addresses
        return {
            "box": config.name,
            "tier": config.tier,
            "version": edgefn.__version__,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "url": addresses.url,
            "site": site_of(config),
            "peer_address": addresses.peer,
            "secure_url": f"https://{addresses.secure}" if addresses.secure else "",
            "is_hub": config.hub,
            "state_dir": str(config.state_dir),
            "gateways": [
                {"gateway": gateway, "pid": pid, "connections": self._totals.connections(gateway)}
                for gateway, pid in self._gateways().items()
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
            gateways=self._gateways(),
        )

    def metrics(self) -> tuple[bytes, str]:
        """Returns the metrics, and their content type."""
        collector = BoxCollector(
            version=edgefn.__version__,
            functions=self._control.functions.values(),
            replicas=self._launcher.replicas(),
            totals=self._totals,
            gateways=self._gateways(),
            events=self._events.counts(),
        )
        return render(collector), CONTENT_TYPE

    def missing_blobs(self, digests: list[str]) -> list[str]:
        """Returns what the store lacks."""
        return self._store.missing(digests)

    def partial_blobs(self, digests: list[str]) -> dict[str, int]:
        """Returns how many bytes came of those blobs of which some did."""
        return PartialBlobs(self._store).sizes(digests)

    def report(self, followed: Followed) -> BoxReport:
        """Returns what the box says of itself to its fleet.

        Args:
            followed: How far it came with what its hub wants.
        """
        return build_report(
            self._config,
            boot_id=self._boot_id,
            started_s=self._started_at.timestamp(),
            address=reached_at(self._config, self._addresses.secure_port),
            functions=self._control.functions.values(),
            replicas=self._launcher.replicas(),
            totals=self._totals,
            followed=followed,
        )
