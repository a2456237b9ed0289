"""The companion of a box: has Ray be on this machine what the box's fleet says, and keeps it so."""

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn.errors import ConfigError
from edgefn.fleet.environment import ray_environment
from edgefn.fleet.machine import Machine, NotStarted, make_folder, remove_folder
from edgefn.fleet.patience import pause_s
from edgefn.fleet.pools_driver import PoolsDriver
from edgefn.fleet.reachable import answers
from edgefn.fleet.role import Role, role_of, start_arguments
from edgefn.fleet.token import keep_token
from edgefn_runtime.errors import EdgefnError
from edgefn_runtime.lease_client import FleetWatch
from edgefn_runtime.lease_words import socket_path
from edgefn_runtime.leasing import FleetNow, Joined

_LOG = logging.getLogger(__name__)
STEADY_S: Final = 30.0  # who ran for so long may start again at once
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
WATCH_AGAIN_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of a companion.

    Attributes:
        state_dir: Of its box.
        host: Address under which Ray on the other machines reaches this one.
        cluster: Address of the head of a cluster that this machine is in already, by what the
            environment says of its token; empty: the companion starts Ray.
    """

    state_dir: Path
    host: str
    cluster: str = ""


class Companion:
    """Three loops that know of each other only what the box says: watch, Ray, and Serve."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.state_dir / "ray"
        self._token_file = self._folder / "token"
        self._environ = (
            dict(os.environ)
            if settings.cluster
            else ray_environment(
                os.environ, state_dir=settings.state_dir, token_file=self._token_file
            )
        )
        self._now: FleetNow | None = None
        self._changed = asyncio.Condition()
        self._watch: FleetWatch | None = None
        self._joined = Joined(in_cluster=False, reason="Ray is not started yet")
        self._running_s = math.inf  # since when Ray runs; a start that failed took long, too

    async def run(self) -> None:
        """Runs until it is told to stop by a signal."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as loops:
            ray = self._use_cluster() if self._settings.cluster else self._keep_ray()
            tasks = [loops.create_task(self._keep_watching()), loops.create_task(ray)]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _keep_watching(self) -> None:
        said = ""
        while True:
            try:
                self._watch = await FleetWatch.connect(socket_path(self._settings.state_dir))
                self._watch.tell(self._joined)
                said = ""
                while True:
                    now = await self._watch.next()
                    async with self._changed:
                        self._now = now
                        self._changed.notify_all()
            except EdgefnError as error:  # a box that starts again listens anew
                if error.message != said:
                    said = error.message
                    _LOG.warning("cannot watch the fleet: %s", said)
            finally:
                if self._watch is not None:
                    self._watch.close()
                    self._watch = None
            await asyncio.sleep(WATCH_AGAIN_S)

    def _tell(self, joined: Joined) -> None:
        if joined != self._joined:
            self._joined = joined
            if joined.reason:
                _LOG.warning("not in the Ray cluster: %s", joined.reason)
            if self._watch is not None:
                self._watch.tell(joined)

    async def _keep_ray(self) -> None:
        failures = 0
        while True:
            role = await self._role_other_than(None)
            self._running_s = math.inf
            reason = await self._run_ray(role)
            self._tell(Joined(in_cluster=False, reason=reason))
            if not reason or time.monotonic() - self._running_s >= STEADY_S:
                failures = 0
            else:
                failures += 1
            pause = pause_s(failures, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
            await _first(asyncio.sleep(pause), self._role_other_than(role))

    async def _use_cluster(self) -> None:
        """Has the box be in a cluster that others keep; this process ends with Ray's own here."""
        self._tell(Joined(in_cluster=True))
        async with self._changed:
            await self._changed.wait_for(lambda: self._now is not None)
        if self._now is not None and self._now.is_hub:
            await self._keep_serving(self._settings.cluster, self._folder)

    async def _role_other_than(self, role: Role | None) -> Role:
        """Waits until Ray is to be something else than this, and returns what."""
        async with self._changed:
            while True:
                if self._now is not None:
                    wanted = role_of(self._now)
                    if wanted is not None and wanted != role:
                        return wanted
                await self._changed.wait()

    async def _run_ray(self, role: Role) -> str:
        """Runs Ray in a role; returns why it ended, or nothing if the role did."""
        if role.head and not await answers(role.head):
            return f"nobody answers at {role.head}, where its head was"
        note = self._folder / "folder"
        folder = make_folder(note)
        try:
            token = keep_token(self._token_file, role.token)
            arguments = start_arguments(role, host=self._settings.host, folder=folder)
            machine = await Machine.start(arguments, self._environ, folder)
            try:
                moved = await _first(
                    self._role_other_than(role), self._stay(machine, role, token, folder)
                )
            finally:
                await machine.kill()
        except (OSError, NotStarted, ConfigError) as error:
            return f"Ray did not start: {error}"
        finally:
            remove_folder(folder, note)
        if isinstance(moved, Role):
            _LOG.info("Ray's head is now at %s", moved.head or self._settings.host)
            return ""
        return f"Ray ended: {machine.last_words()}"

    async def _stay(self, machine: Machine, role: Role, token: str, folder: Path) -> None:
        """Waits for the start of Ray, and then for its end."""
        address = await machine.started()
        self._running_s = time.monotonic()
        _LOG.info("in the Ray cluster of %s", address)
        if role.head:
            self._tell(Joined(in_cluster=True))
            await machine.ended()
            return
        self._tell(Joined(in_cluster=True, address=address, token=token))
        await _first(machine.ended(), self._keep_serving(address, folder))

    async def _keep_serving(self, address: str, folder: Path) -> None:
        """Keeps a driver of Serve, and the pools told."""
        failures = 0
        while True:
            driver = await PoolsDriver.start(address, self._environ, folder)
            try:
                if await driver.connected():
                    failures = 0
                    await _first(driver.ended(), self._tell_pools(driver))
            finally:
                await driver.kill()
            failures += 1
            _LOG.warning("the driver of Ray Serve ended; another one begins")
            await asyncio.sleep(pause_s(failures, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S))

    async def _tell_pools(self, driver: PoolsDriver) -> None:
        told = None
        async with self._changed:
            while True:
                pools = self._now.pools if self._now is not None else None
                if pools is not None and pools != told:
                    told = pools
                    driver.tell(pools)
                await self._changed.wait()


async def _first(*waits: Awaitable[object]) -> object:
    """Waits for the first of several, ends the others, and returns what it returned."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
