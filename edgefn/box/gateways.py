"""The gateways of a box: started, told the routes, started again when they die, ended in order."""

import asyncio
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from edgefn.access.table import AccessTable
from edgefn.box.backoff import Backoff
from edgefn.box.child import Child
from edgefn.box.gateway_link import GatewayLink
from edgefn.box.passed_asks import PassedAsks
from edgefn.gateway.control import (
    Answered,
    Ask,
    FromGateway,
    FunctionRoute,
    GatewayConfig,
    Marked,
    Report,
    Routed,
    Routes,
    Started,
    Suspect,
    Upstreams,
    Wake,
    most_asks,
)

START_TIMEOUT_S: Final = 20.0
ROUTED_TIMEOUT_S: Final = 1.0
LOST_GRACE_S: Final = 0.5  # between the end of a control socket and that of its process

_log = logging.getLogger(__name__)


class GatewayListener(Protocol):
    """Who hears what gateways say."""

    def reported(self, report: Report) -> None:
        """Takes what a gateway did."""

    def gateway_ended(self, gateway: int) -> None:
        """Takes note that a gateway's process is gone."""

    def woken(self, function: str, variant: str) -> None:
        """Takes note that a call waits for a function without a replica."""

    def suspected(self, suspect: Suspect) -> None:
        """Takes note that a replica does not answer a gateway."""

    def marked(self, marked: Marked) -> None:
        """Takes what alerts saw in answers."""


@dataclass(slots=True)
class _Gateway:
    """One gateway, whichever process it is now."""

    config: GatewayConfig
    listener: socket.socket
    for_peers: socket.socket | None = None
    secure: socket.socket | None = None
    child: Child | None = None
    link: GatewayLink | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    routed: int = 0


class Gateways:
    """All gateways of a box.

    Args:
        configs: One for each, without descriptors.
        sockets: Their listening sockets, in the same order.
        for_peers: Those for other boxes, in the same order; none if no box may dial this one.
        secure: Those with TLS, in the same order; none if there are none.
        listener: Who hears what they say.
        answer: Answers an operator's request.
    """

    def __init__(
        self,
        configs: list[GatewayConfig],
        sockets: tuple[socket.socket, ...],
        for_peers: tuple[socket.socket, ...] = (),
        *,
        secure: tuple[socket.socket, ...] = (),
        listener: GatewayListener,
        answer: Callable[[Ask], Awaitable[Answered]],
    ) -> None:
        self._gateways = [
            _Gateway(*parts)
            for parts in zip(
                configs,
                sockets,
                for_peers or (None,) * len(sockets),
                secure or (None,) * len(sockets),
                strict=True,
            )
        ]
        self._listener = listener
        self._answer = answer
        self._routes = Routes(0, ())
        self._access = AccessTable()
        self._upstreams = Upstreams(())
        self._passed = PassedAsks()
        self._stopping = False
        self._asks: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()  # with how many of each kind of ask
        self._news = asyncio.Event()

    def pids(self) -> dict[int, int]:
        """Returns the process of each gateway that accepts connections, by its number."""
        return {
            gateway.config.gateway: gateway.child.pid
            for gateway in self._gateways
            if gateway.child is not None and gateway.started.is_set()
        }

    async def keep(self) -> None:
        """Keeps them running, until stopped or cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for gateway in self._gateways:
                    group.create_task(self._keep(gateway))
        finally:
            for task in self._asks:
                task.cancel()

    async def started(self) -> None:
        """Waits until each accepts connections."""
        for gateway in self._gateways:
            await gateway.started.wait()

    def publish(self, functions: tuple[FunctionRoute, ...]) -> None:
        """Tells all of them the routing table."""
        self._routes = Routes(self._routes.version + 1, functions)
        for gateway in self._gateways:
            if gateway.link is not None:
                gateway.link.send_routes(self._routes)

    def publish_access(self, table: AccessTable) -> None:
        """Tells all of them who has access."""
        self._access = table
        for gateway in self._gateways:
            if gateway.link is not None:
                gateway.link.send_access(table)

    def publish_upstreams(self, addresses: tuple[str, ...]) -> None:
        """Tells all of them which boxes to keep linked over TLS, beside the hub.

        Args:
            addresses: All of them, as `host:port`.
        """
        self._upstreams = Upstreams(addresses)
        for gateway in self._gateways:
            if gateway.link is not None:
                gateway.link.send_upstreams(self._upstreams)

    async def routed(self) -> None:
        """Waits until all of them follow the newest routes, or for `ROUTED_TIMEOUT_S`."""
        version = self._routes.version
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUTED_TIMEOUT_S):
                while any(g.link is not None and g.routed < version for g in self._gateways):
                    self._news.clear()
                    await self._news.wait()

    async def stop(self, budget_s: float) -> None:
        """Has them answer what is under way and exit; kills those that take longer."""
        self._stopping = True
        for gateway in self._gateways:
            if gateway.link is not None:
                gateway.link.send_stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                for gateway in self._gateways:
                    if gateway.child is not None:
                        await gateway.child.wait()
        for gateway in self._gateways:
            if gateway.child is not None:
                gateway.child.kill()

    async def _keep(self, gateway: _Gateway) -> None:
        backoff = Backoff()
        number = gateway.config.gateway
        while not self._stopping:
            started_s = time.monotonic()
            try:
                status = await self._live(gateway)
            finally:
                self._listener.gateway_ended(number)
            if self._stopping:
                return
            delay_s = backoff.after(time.monotonic() - started_s)
            _log.error("gateway %d died (%s); next one in %g s", number, status, delay_s)
            await asyncio.sleep(delay_s)

    async def _live(self, gateway: _Gateway) -> int:
        """Starts a process and returns its exit status when it is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            for_peers, secure = gateway.for_peers, gateway.secure
            config = msgspec.structs.replace(
                gateway.config,
                listen_fd=gateway.listener.fileno(),
                control_fd=theirs.fileno(),
                peer_fd=-1 if for_peers is None else for_peers.fileno(),
                secure_fd=-1 if secure is None else secure.fileno(),
            )
            inherited = (config.listen_fd, config.control_fd, config.peer_fd, config.secure_fd)
            child = gateway.child = Child(
                "edgefn.gateway",
                [msgspec.json.encode(config).decode()],
                pass_fds=[fd for fd in inherited if fd >= 0],
                environ=os.environ,
            )
        gateway.started.clear()
        gateway.routed = 0
        loop = asyncio.get_running_loop()
        overdue = loop.call_later(START_TIMEOUT_S, self._check_started, gateway, child)
        try:
            _, link = await loop.create_unix_connection(
                lambda: GatewayLink(
                    on_message=lambda message: self._said(gateway, message),
                    on_lost=lambda: loop.call_later(LOST_GRACE_S, child.kill),
                ),
                sock=ours,
            )
            gateway.link = link
            link.send_access(self._access)
            link.send_upstreams(self._upstreams)
            link.send_routes(self._routes)
            if self._stopping:
                link.send_stop()
            return await child.wait()
        finally:
            overdue.cancel()
            gateway.started.clear()
            self._drop_link(gateway)
            child.kill()

    def _check_started(self, gateway: _Gateway, child: Child) -> None:
        if not gateway.started.is_set():
            number = gateway.config.gateway
            _log.error("gateway %d did not start within %g s", number, START_TIMEOUT_S)
            child.kill()

    def _drop_link(self, gateway: _Gateway) -> None:
        if gateway.link is not None:
            gateway.link.close()
            self._passed.lost(gateway.link)
            gateway.link = None
            self._news.set()

    def _said(self, gateway: _Gateway, message: FromGateway) -> None:
        match message:
            case Started():
                gateway.started.set()
            case Routed(version=version):
                gateway.routed = version
                self._news.set()
            case Report():
                if gateway.link is not None:
                    self._passed.reported(gateway.link, message.places)
                self._listener.reported(message)
            case Wake(function=function, variant=variant):
                self._listener.woken(function, variant)
            case Suspect():
                self._listener.suspected(message)
            case Marked():
                self._listener.marked(message)
            case Ask():
                self._ask(gateway, message)
            case Answered():
                self._passed.answered(message)

    def _ask(self, gateway: _Gateway, ask: Ask) -> None:
        link = gateway.link
        if link is None:
            return
        box = ask.query.get("box", gateway.config.box)
        if box != gateway.config.box:
            self._passed.pass_on(link, ask, box)
            return
        most = most_asks(ask.path)
        if self._busy[most] >= most:
            link.send_answer(_too_many(ask, most))
            return
        self._busy[most] += 1
        task = asyncio.get_running_loop().create_task(self._reply(link, ask))
        self._asks.add(task)
        task.add_done_callback(lambda task: self._replied(task, most))

    def _replied(self, task: asyncio.Task[None], most: int) -> None:
        self._asks.discard(task)
        self._busy[most] -= 1

    async def _reply(self, link: GatewayLink, ask: Ask) -> None:
        link.send_answer(await self._answer(ask))


def _too_many(ask: Ask, most: int) -> Answered:
    error = {
        "code": "unavailable",
        "message": f"the box answers {most} such requests already; try again later",
        "detail": {},
    }
    return Answered(ask.id, 503, msgspec.json.encode({"error": error}))
