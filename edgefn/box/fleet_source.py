"""What a box knows of its fleet, for whoever places replicas on it."""

from typing import Protocol

from edgefn_runtime.leasing import FleetNow, Joined


class FleetSource(Protocol):
    """The fleet, as seen from one box: a hub computes it, the others were told."""

    def now(self) -> FleetNow:
        """Returns what is known at the moment."""

    async def changed(self, known: FleetNow) -> FleetNow:
        """Waits until what is known differs from `known`, and returns it."""

    def joined(self, joined: Joined) -> None:
        """Takes note whether this machine is in the Ray cluster, and of a head that runs here."""
