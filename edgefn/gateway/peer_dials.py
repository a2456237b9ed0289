"""The peers that a gateway dials: some for as long as it runs, others for as long as it is told."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

from edgefn.gateway.peer_dial import keep_dialled
from edgefn.gateway.peer_protocol import PeerProtocol

Make = Callable[[bool], PeerProtocol]  # told whether the peer must be the hub


class _Dial:
    """One address that is dialled.

    Attributes:
        task: That keeps it connected.
        protocol: Of the newest connection; None: there was none yet.
    """

    def __init__(
        self, address: str, make: Make, context: ssl.SSLContext | None, *, wants_hub: bool
    ) -> None:
        self.protocol: PeerProtocol | None = None
        self._make = partial(make, wants_hub)
        host, _, port = address.rpartition(":")
        dialling = keep_dialled(host.strip("[]"), int(port), self._connecting, context)
        self.task = asyncio.get_running_loop().create_task(dialling)

    def _connecting(self) -> PeerProtocol:
        self.protocol = self._make()
        return self.protocol


class Dials:
    """All that are dialled.

    Args:
        make: Makes the protocol of a connection.
        retire: Lets a connection answer what it has, and nothing more; returns when it may end.
    """

    def __init__(self, make: Make, retire: Callable[[PeerProtocol], Awaitable[None]]) -> None:
        self._make = make
        self._retire = retire
        self._lasting: dict[str, _Dial] = {}
        self._told: dict[str, _Dial] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def add(
        self, address: str, context: ssl.SSLContext | None = None, *, wants_hub: bool = False
    ) -> None:
        """Keeps a peer connected until the end.

        Args:
            address: As `host:port`.
            context: Of TLS; None: the address is on this machine, and there is none.
            wants_hub: Whether it must be the hub of the fleet.
        """
        if address not in self._lasting:
            self._lasting[address] = _Dial(address, self._make, context, wants_hub=wants_hub)

    def follow(self, addresses: tuple[str, ...], context: ssl.SSLContext) -> None:
        """Keeps these connected as well, until it is told others.

        Args:
            addresses: As `host:port`.
            context: Of TLS.
        """
        wanted = [one for one in dict.fromkeys(addresses) if one not in self._lasting]
        for address in self._told.keys() - wanted:
            ending = asyncio.get_running_loop().create_task(self._end(self._told.pop(address)))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        for address in wanted:
            if address not in self._told:
                self._told[address] = _Dial(address, self._make, context, wants_hub=False)

    async def aclose(self) -> None:
        """Ends all of them at once."""
        tasks = [
            *self._ending,
            *(one.task for one in (*self._lasting.values(), *self._told.values())),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, dial: _Dial) -> None:
        try:
            if dial.protocol is not None and not dial.protocol.closed.done():
                await self._retire(dial.protocol)
        finally:
            dial.task.cancel()
            await asyncio.gather(dial.task, return_exceptions=True)
