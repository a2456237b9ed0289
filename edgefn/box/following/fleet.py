"""The fleet as a box knows it that follows a hub."""

import asyncio

import msgspec

from edgefn.desired.state import RayHead
from edgefn_runtime.leasing import FleetNow, Joined


class FollowedFleet:
    """What the hub told last; implements `fleet_source.FleetSource`.

    Args:
        box: Name of this box.
        tier: Its tier.
        site: Its site.

    Attributes:
        in_cluster: Whether this machine is in the Ray cluster.
    """

    def __init__(self, *, box: str, tier: str, site: str) -> None:
        self._now = FleetNow(box=box, tier=tier, site=site)
        self._news = asyncio.Event()
        self.in_cluster = False

    def tell(self, ray: RayHead | None) -> None:
        """Takes what the hub says of the Ray cluster."""
        head, token = (ray.address, ray.token) if ray is not None else ("", "")
        now = msgspec.structs.replace(self._now, head=head, token=token)
        if now != self._now:
            self._now = now
            news, self._news = self._news, asyncio.Event()
            news.set()

    def now(self) -> FleetNow:
        """See `FleetSource`."""
        return self._now

    async def changed(self, known: FleetNow) -> FleetNow:
        """See `FleetSource`."""
        while self._now == known:
            await self._news.wait()
        return self._now

    def joined(self, joined: Joined) -> None:
        """See `FleetSource`. The head of the cluster is the hub's business."""
        self.in_cluster = joined.in_cluster
