"""The gateway as a process: started by the box, told what there is, ended in order."""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import time
from functools import partial
from typing import Final

import uvloop

from edgefn.access.caller import Registry
from edgefn.access.table import AccessTable
from edgefn.errors import ConfigError
from edgefn.gateway.box_asks import answer_sibling
from edgefn.gateway.box_link import BoxLink
from edgefn.gateway.connections import Connections, Server
from edgefn.gateway.control import (
    REPORT_S,
    Ask,
    FromBox,
    GatewayConfig,
    PlaceReport,
    Report,
    Routed,
    Routes,
    Started,
    Upstreams,
)
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.fleet_tls import FleetTls
from edgefn.gateway.front import Front
from edgefn.gateway.hub_asks import answers_of
from edgefn.gateway.peer_wire import Greeting
from edgefn.gateway.peers import Peers
from edgefn.gateway.secure_port import SecurePort
from edgefn.gateway.state import Gateway
from edgefn.gateway.tracing import start_tracing
from edgefn.routing.table import HERE, Place
from edgefn_runtime.process import die_with, raise_descriptor_limit

_LOG = logging.getLogger(__name__)
_BACKLOG: Final = 1024
_GC_THRESHOLD: Final = 50_000
_SETTLE_S: Final = 0.3  # connections that were accepted when the listener closed get this far
_DRAIN_S: Final = 10.0
_QUIET_S: Final = 2.0  # callers that ask more often learn from an answer that they should go


class Process:
    """One gateway process."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._connections = Connections(config)
        self._box = BoxLink(on_message=self._said, on_lost=self._lost)
        here = Place(name=HERE, tier=config.tier, site=config.site)
        self._dispatcher = Dispatcher(self._box.tell, here)
        self._peers: Peers | None = None
        self._upstreams: tuple[str, ...] = ()
        self._registry = Registry()
        self._tls: FleetTls | None = None
        self._certificate = ""
        self._secure_port: SecurePort | None = None
        self._gateway: Gateway | None = None
        self._asks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._status = 0
        self._told: tuple[int, tuple[PlaceReport, ...]] = (-1, ())

    async def run(self) -> int:
        """Serves until the box says stop, or is gone; returns the exit status."""
        tracing = self._dispatcher.tracing = start_tracing(os.environ, self._config)
        gateway = Gateway(self._config, self._dispatcher, self._box, self._report, self._registry)
        self._gateway = gateway
        await self._box.connect(socket.socket(fileno=self._config.control_fd))
        server = Server(Front(gateway), self._connections, self._config)
        listener = socket.socket(fileno=self._config.listen_fd)
        listening = await gateway.loop.create_server(
            lambda: self._connections.protocol(server), sock=listener, backlog=_BACKLOG
        )
        await self._start_peers(gateway)
        self._start_secure(server)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        self._box.tell(Started(self._config.gateway, os.getpid()))
        chores = [
            gateway.loop.create_task(self._connections.keep_swept()),
            gateway.loop.create_task(self._keep_reporting()),
        ]
        try:
            await self._stop.wait()
            status = self._status
            if status == 0:
                listening.close()
                if self._secure_port is not None:
                    self._secure_port.stop()
                await self._drain()
        finally:
            for chore in (*chores, *self._asks):
                chore.cancel()
            self._report()
            gateway.marking.flush()
            gateway.uploads.close()
            gateway.downloads.close()
            if self._secure_port is not None:
                self._secure_port.close()
            if self._peers is not None:
                await self._peers.aclose()
            await self._dispatcher.aclose()
            if tracing is not None:
                await tracing.aclose()
            await self._box.aclose()
        return status

    async def _start_peers(self, gateway: Gateway) -> None:
        config = self._config
        if config.secure_fd >= 0 or config.upstreams:
            self._tls = FleetTls(config.tls)
        dial = self._tls.dial if self._tls is not None else None
        if config.peer_fd < 0 and not config.peers and dial is None:
            return
        greeting = Greeting(
            box=config.box, tier=config.tier, site=config.site, boot_id=secrets.token_hex(8)
        )
        self._peers = Peers(
            greeting,
            self._dispatcher,
            gateway.body_memory,
            registry=self._registry,
            answer=answers_of(gateway),
        )
        gateway.peers = self._peers
        listener = socket.socket(fileno=config.peer_fd) if config.peer_fd >= 0 else None
        await self._peers.start(listener, config.peers)
        if dial is not None:
            self._peers.dial_hub(config.upstreams, dial)
            self._peers.follow_upstreams(self._upstreams, dial)

    def _start_secure(self, server: Server) -> None:
        if self._config.secure_fd < 0 or self._tls is None:
            return
        peers = self._peers
        self._secure_port = SecurePort(
            socket.socket(fileno=self._config.secure_fd),
            self._tls.server,
            partial(self._connections.secure_protocol, server),
            peers.accept if peers is not None and self._tls.dial is not None else None,
        )
        self._secure_port.start()

    def _said(self, message: FromBox) -> None:
        match message:
            case Routes():
                self._dispatcher.update(message)
                self._box.tell(Routed(message.version))
                if self._peers is not None:
                    self._peers.changed()
            case AccessTable():
                self._follow(message)
            case Upstreams():
                self._upstreams = message.addresses
                if self._peers is not None and self._tls is not None and self._tls.dial is not None:
                    self._peers.follow_upstreams(message.addresses, self._tls.dial)
            case Ask():
                self._ask_peer(message)
            case _:
                self._stop.set()

    def _ask_peer(self, ask: Ask) -> None:
        """Has another box answer what another gateway of this one was asked."""
        task = asyncio.get_running_loop().create_task(self._reply(ask))
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)

    async def _reply(self, ask: Ask) -> None:
        assert self._gateway is not None
        self._box.tell(await answer_sibling(self._gateway, ask))

    def _follow(self, table: AccessTable) -> None:
        """Takes who has access; a certificate that was revoked ends its links, too."""
        self._registry.update(table)
        if self._peers is not None:
            self._peers.end_revoked()
        before, self._certificate = self._certificate, table.certificate
        if self._tls is not None and before not in ("", table.certificate):
            try:
                self._tls.reload()
            except ConfigError as error:
                _LOG.error("the renewed certificate cannot be used: %s", error)

    def _lost(self, why: str) -> None:
        self._status = 1
        self._stop.set()

    def _report(self) -> None:
        if self._box.congested():
            return
        functions = self._dispatcher.take_reports()
        now = (len(self._connections), self._peers.reports() if self._peers is not None else ())
        if functions or now != self._told:
            self._told = now
            self._box.tell(Report(self._config.gateway, functions, *now))

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self._report()

    async def _drain(self) -> None:
        """Lets every caller go with an answer, or after it was quiet for a while."""
        until_s = time.monotonic() + _DRAIN_S
        if self._peers is not None:
            self._peers.withdraw()
        await asyncio.sleep(_SETTLE_S)
        self._connections.draining = True
        while self._under_way() and time.monotonic() < until_s:
            self._connections.close_quiet(time.monotonic(), _QUIET_S)
            await asyncio.sleep(0.02)

    def _under_way(self) -> int:
        return len(self._connections) + (self._peers.calls() if self._peers is not None else 0)


def run_gateway(config: GatewayConfig) -> int:
    """Runs a gateway in this process until the box ends it; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the box decides what a Ctrl-C means
    die_with(os.getppid())
    raise_descriptor_limit()

    async def main() -> int:
        return await Process(config).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
