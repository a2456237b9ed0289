"""The socket on which a box hands out leases, and tells its companion of the fleet."""

import asyncio
from pathlib import Path
from typing import Final

from edgefn.box.fleet_source import FleetSource
from edgefn.box.leasing.desk import LeaseDesk
from edgefn.box.leasing.link import LeaseLink
from edgefn.errors import ConfigError
from edgefn_runtime.leasing import SOCKET, Joined, LeaseRefused
from edgefn_runtime.process import listen

_NO_FLEET: Final = LeaseRefused(ConfigError.code, "this box is alone: it is of no fleet")


class LeasePort:
    """Listens, for the box's own user alone, from `open` to `aclose`.

    Args:
        desk: Where leases are had.
    """

    def __init__(self, desk: LeaseDesk) -> None:
        self._desk = desk
        self._fleet: FleetSource | None = None
        self._server: asyncio.Server | None = None
        self._links: set[LeaseLink] = set()
        self._tellers: dict[LeaseLink, asyncio.Task[None]] = {}

    def attach(self, fleet: FleetSource) -> None:
        """Says who knows of the fleet; until then the box is alone."""
        self._fleet = fleet

    async def open(self, run_directory: Path) -> None:
        """Begins to listen.

        Raises:
            OSError: That is not possible in this folder.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            self._connected, sock=listen(str(run_directory / SOCKET))
        )

    async def aclose(self) -> None:
        """Ends all connections; the replicas that leases hold are left as they are."""
        self._desk.release()
        if self._server is not None:
            self._server.close()
        for link in tuple(self._links):
            link.close()
        tellers = tuple(self._tellers.values())
        for teller in tellers:
            teller.cancel()
        await asyncio.gather(*tellers, return_exceptions=True)

    def _connected(self) -> LeaseLink:
        link = LeaseLink(
            self._desk, on_watch=self._watched, on_joined=self._joined, on_lost=self._lost
        )
        self._links.add(link)
        return link

    def _watched(self, link: LeaseLink) -> None:
        if self._fleet is None:
            link.send(_NO_FLEET)
            link.close()
            return
        task = asyncio.get_running_loop().create_task(self._tell(self._fleet, link))
        self._tellers[link] = task

    async def _tell(self, fleet: FleetSource, link: LeaseLink) -> None:
        try:
            known = fleet.now()
            while True:
                link.send(known)
                await link.writable.wait()
                known = await fleet.changed(known)
        finally:
            link.close()

    def _joined(self, joined: Joined) -> None:
        if self._fleet is not None:
            self._fleet.joined(joined)

    def _lost(self, link: LeaseLink) -> None:
        self._links.discard(link)
        teller = self._tellers.pop(link, None)
        if teller is None:
            return
        teller.cancel()
        if not self._tellers:
            self._joined(Joined(in_cluster=False, reason="what joins it to the cluster has ended"))
