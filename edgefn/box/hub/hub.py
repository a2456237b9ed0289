"""A hub: looks what its fleet should serve, tells whoever asks, and hears what the boxes report."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from edgefn.access.table import AccessTable
from edgefn.box.access import Access
from edgefn.box.access_errors import Refused
from edgefn.box.hub.content import content_of
from edgefn.box.hub.desired import Desired
from edgefn.box.hub.reports import Reports
from edgefn.box.hub.view import fleet_status
from edgefn.box.revision import Revision
from edgefn.desired.fleet import FleetStatus
from edgefn.desired.placement import pools
from edgefn.desired.report import BoxReport
from edgefn.desired.state import RayHead, Upstream
from edgefn.errors import ConfigError
from edgefn_runtime.leasing import FleetNow, Joined, Pool

LOOK_S: Final = 1.0  # at the longest between two looks at what serves, and at what was reported
_PAUSE_S: Final = 0.05  # between two looks: changes come in crowds

_log = logging.getLogger(__name__)

_Ingredients = tuple[
    tuple[tuple[str, int, str], ...],
    tuple[str, ...] | None,
    AccessTable,
    tuple[Upstream, ...],
    RayHead | None,
]


class Hub:
    """What a hub does beside being a box. It is the source of the fleet for its own leases, too.

    Args:
        desired: Numbers what is wanted, and remembers it.
        access: Of the box.
        serving: Returns what serves on the box, which is what the fleet should serve.
        trusted: Returns the keys that the box was told to trust; None: it keeps no list. Blocks.
        own_report: Returns the box's report of itself.
        has_ray: Whether there is to be a Ray cluster.
    """

    def __init__(
        self,
        *,
        desired: Desired,
        access: Access,
        serving: Callable[[], list[Revision]],
        trusted: Callable[[], tuple[str, ...] | None],
        own_report: Callable[[], BoxReport],
        has_ray: bool,
    ) -> None:
        self._desired = desired
        self._access = access
        self._serving = serving
        self._trusted = trusted
        self._own_report = own_report
        self._reports = Reports()
        self._began_s = time.monotonic()
        self._boxes: frozenset[str] | None = None  # of the fleet; None: not looked yet
        self._ray = desired.told.ray if has_ray else None
        self._in_cluster = False
        self._failed_because = ""
        self._wanted: _Ingredients | None = None
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._fleet: FleetNow | None = None

    @property
    def in_cluster(self) -> bool:
        """Whether this machine is in the Ray cluster."""
        return self._in_cluster

    async def keep(self) -> None:
        """Looks again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            await self.look()
            await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Has boxes told of what changed, if anything did. What fails is tried again later."""
        try:
            listed = await self._access.ask(lambda ledger: ledger.listed())
            self._boxes = frozenset(held.name for held in listed.certificates if held.kind == "box")
            self._reports.keep(self._boxes)
            await self._want()
        except (ConfigError, OSError, sqlite3.Error) as error:
            if str(error) != self._failed_because:
                _log.error("the fleet cannot be told what changed: %s", error)
            self._failed_because = str(error)
        else:
            self._failed_because = ""
        self._tell_fleet()

    def wake(self) -> None:
        """Has it look soon: something changed."""
        self._wake.set()

    def release(self) -> None:
        """Has nobody wait for news any more: the box is about to end."""
        self._desired.release()

    async def pull(
        self,
        box: str,
        serial: str,
        epoch: str,
        revision: int,
        wait_s: float,
        *,
        digest: str = "",
    ) -> bytes:
        """Returns the desired state as JSON, or that it has not changed; see `Desired.pull`.

        Raises:
            Refused: The certificate with this serial number was revoked while the box waited.
        """
        reply = await self._desired.pull(box, epoch, revision, wait_s, digest=digest)
        if serial in self._access.table.revoked:
            raise Refused(f"the certificate of box {box!r} was revoked")
        return reply

    def report(self, report: BoxReport, box: str) -> None:
        """Takes what a box says of itself.

        Args:
            report: What it says.
            box: Name in its certificate.

        Raises:
            NotItself: It is of another box.
        """
        before = self._reports.heard().get(box)
        self._reports.take(report, box, time.monotonic())
        if before is None or _told_others(before.report) != _told_others(report):
            self.wake()

    async def status(self) -> FleetStatus:
        """Returns what operators are told of the fleet."""
        return fleet_status(
            told=self._desired.told,
            serving=self._serving(),
            own=self._own_report(),
            boxes=self._boxes or (),
            heard=self._reports.heard(),
            now_s=time.monotonic(),
            at_s=time.time(),
        )

    # The fleet, as the leases on this box see it (`FleetSource`).

    def now(self) -> FleetNow:
        """Returns what should be where. The head of the Ray cluster is to be on this box."""
        own = self._own_report()
        return FleetNow(
            box=own.box,
            tier=own.tier,
            site=own.site,
            is_hub=True,
            token=self._ray.token if self._ray is not None else "",
            pools=self._pools(own),
        )

    async def changed(self, known: FleetNow) -> FleetNow:
        """Waits until what is known differs from `known`, and returns it."""
        while (now := self.now()) == known:
            await self._news.wait()
        return now

    def joined(self, joined: Joined) -> None:
        """Takes note of the Ray cluster. A head that is away for a while is still the head."""
        self._in_cluster = joined.in_cluster
        token = joined.token or (self._ray.token if self._ray is not None else "")
        if joined.address and token:
            self._ray = RayHead(address=joined.address, token=token)
        self.wake()

    def _pools(self, own: BoxReport) -> tuple[Pool, ...] | None:
        """Returns what is to be held; None: not all boxes said since the start what they need."""
        now_s = time.monotonic()
        boxes = self._boxes
        if boxes is None or not self._reports.are_complete(boxes, self._began_s, now_s):
            return None
        return pools([own, *self._reports.live(now_s)])

    def _tell_fleet(self) -> None:
        now = self.now()
        if now != self._fleet:
            self._fleet = now
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def _want(self) -> None:
        trusted = await asyncio.to_thread(self._trusted)
        serving = self._serving()
        access = msgspec.structs.replace(self._access.table, certificate="")
        upstreams = self._reports.upstreams(self._desired.told.upstreams, self._boxes or ())
        numbers = tuple((one.function, one.number, one.digest) for one in serving)
        wanted = (numbers, trusted, access, upstreams, self._ray)
        if wanted == self._wanted:
            return
        content = content_of(
            serving=serving, trusted=trusted, access=access, upstreams=upstreams, ray=self._ray
        )
        await self._desired.want(content)
        self._wanted = wanted


def _told_others(report: BoxReport) -> tuple[str, str, tuple[Pool, ...]]:
    """Returns what others are told of a box, which changes far less often than what it reports."""
    return report.tier, report.address, pools((report,))
