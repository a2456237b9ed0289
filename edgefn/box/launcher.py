"""The launcher: starts replicas through the forkserver, watches them, drains them, buries them."""

import asyncio
import contextlib
import errno
import itertools
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edgefn.box.deaths import Death, DeathCause, explain_exit, out_of_memory_kills
from edgefn.box.environments import Environments
from edgefn.box.forkserver import Forkserver
from edgefn.box.forkservers import Forkservers
from edgefn.box.logs import Logs
from edgefn.box.process import Process
from edgefn.box.replica import Replica, ReplicaState
from edgefn.box.replica_source import LaunchFailed, ReplicaListener, StartsSoon
from edgefn.box.revision import Revision
from edgefn.box.watchdog import FROZEN_S, STALLED_S, Verdict, overdue_run, overdue_start
from edgefn_runtime.errors import ErrorBody
from edgefn_runtime.lifecycle import (
    Drain,
    Exited,
    Failed,
    Forked,
    ForkFailed,
    FromForkserver,
    FromReplica,
    Ready,
)
from edgefn_runtime.variant import Variant

DRAIN_MARGIN_S: Final = 10.0  # beyond the longest run, for what waits behind it
LOST_GRACE_S: Final = 0.5  # between the end of a lifecycle socket and that of its process

_log = logging.getLogger(__name__)


class Launcher:
    """Holds the processes of all replicas; implements `ReplicaSource`.

    Args:
        catalog: The revisions that can be taken, by function and number; others change it.
        environments: Where functions run that need more than the box has.
        run_directory: For sockets and status pages.
        logs: Where the replicas' output goes.
        listener: Who hears of changes.
        before_drain: Awaited before a replica is told to drain: returns when no gateway sends
            calls to it any more.
    """

    def __init__(
        self,
        *,
        catalog: Mapping[tuple[str, int], Revision],
        environments: Environments,
        run_directory: Path,
        logs: Logs,
        listener: ReplicaListener,
        before_drain: Callable[[], Awaitable[None]],
    ) -> None:
        self._catalog = catalog
        self._run_directory = run_directory
        self._logs = logs
        self._listener = listener
        self._before_drain = before_drain
        self._forkservers = Forkservers(
            environments, on_event=self._heard, on_lost=self._forkserver_lost
        )
        self._wanted: set[str] = set()  # environments
        self._staged: list[str] = []  # those of replicas that are being staged
        self._cold: set[str] = set()  # those that are wanted, but not for some time to come
        self._processes: dict[str, Process] = {}
        self._numbers = itertools.count(1)
        self._drains: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Keeps the forkservers running, until cancelled; all replicas end with them."""
        try:
            await self._forkservers.keep()
        finally:
            for environment in {each.replica.revision.environment for each in self._all()}:
                self._forkserver_lost(environment)

    def want(self, environments: set[str]) -> None:
        """Keeps forkservers warm for these environments, by digest, and only for these.

        One that still has replicas ends with the last of them. Those for which a replica is staged
        are to be among them.
        """
        self._wanted = set(environments)
        for environment in environments - self._cold:
            self._forkservers.of(environment)
        self._end_idle_forkservers()

    def keep_warm(self, environments: frozenset[str]) -> None:
        """See `ReplicaSource`."""
        self._cold = self._wanted - environments - set(self._staged)
        self._end_idle_forkservers()

    def take(self, function: str, revision: int, variant: str) -> Replica:
        """See `ReplicaSource`."""
        found = self._catalog[function, revision]
        return self._launch(found, found.manifest.variant(variant)).replica

    async def stage(self, revision: Revision) -> tuple[Replica, Ready | Failed]:
        """Starts a replica of the default variant; waits until it is ready, or failed and gone.

        Raises:
            LaunchFailed: As `take` does.
        """
        self._wanted.add(revision.environment)
        self._cold.discard(revision.environment)
        self._staged.append(revision.environment)
        try:
            await self._forkserver_for(revision).up()
            process = self._launch(revision, revision.default, trial=True)
        finally:
            self._staged.remove(revision.environment)
        outcome = await asyncio.shield(process.started)
        if isinstance(outcome, Failed):
            await process.gone.wait()
        return process.replica, outcome

    def give_back(self, replica: str) -> None:
        """See `ReplicaSource`."""
        process = self._processes.get(replica)
        if process is None or process.replica.state == "draining":
            return
        was_ready = process.replica.state == "ready"
        self._move(process, "draining")
        if was_ready:
            task = asyncio.get_running_loop().create_task(self._drain(process))
            self._drains.add(task)
            task.add_done_callback(self._drains.discard)
        else:
            self._kill(replica)

    def check(self, replica: str) -> ReplicaState:
        """See `ReplicaSource`."""
        process = self._processes.get(replica)
        if process is None:
            return "gone"
        self._watch(process, time.monotonic(), STALLED_S)
        return process.replica.state

    def replicas(self) -> list[Replica]:
        """See `ReplicaSource`."""
        return [process.replica for process in self._processes.values()]

    def suspect(self, replica: str, reason: str) -> None:
        """Looks at a replica of which a gateway says that something is wrong."""
        self.check(replica)
        # If it is dying, its exit says more than that it does not listen any more.
        loop = asyncio.get_running_loop()
        loop.call_later(LOST_GRACE_S, self._check_listening, replica, reason)

    async def settled(self, replica: str) -> None:
        """Waits until a replica is ready, or has failed to start; the latter at its timeout."""
        process = self._processes.get(replica)
        if process is not None:
            await asyncio.shield(process.started)

    async def ended(self, replica: str) -> None:
        """Waits until a replica is gone."""
        process = self._processes.get(replica)
        if process is not None:
            await process.gone.wait()

    async def gone(self, function: str) -> None:
        """Waits until a function has no replica any more."""
        for process in self._all():
            if process.replica.revision.function == function:
                await process.gone.wait()

    async def drain_all(self, budget_s: float) -> None:
        """Drains every replica; those that are not gone within the budget are killed."""
        processes = self._all()
        for process in processes:
            self.give_back(process.replica.id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                for process in processes:
                    await process.gone.wait()
        for replica in self._processes:
            self._kill(replica)

    def _forkserver_for(self, revision: Revision) -> Forkserver:
        """Returns the one whose processes have what a revision needs."""
        return self._forkservers.of(revision.environment)

    def _end_idle_forkservers(self) -> None:
        in_use = {process.replica.revision.environment for process in self._all()}
        self._forkservers.end_all_but(in_use | (self._wanted - self._cold))

    def _all(self) -> list[Process]:
        return list(self._processes.values())

    def _launch(self, revision: Revision, variant: Variant, *, trial: bool = False) -> Process:
        forkserver = self._forkserver_for(revision)
        if forkserver.is_new:
            raise StartsSoon("no replica can start yet: its forkserver starts first")
        if not forkserver.is_up:
            raise LaunchFailed("no replica can start: the forkserver is being restarted")
        number = next(self._numbers)
        replica = Replica(
            id=f"r{number}",
            revision=revision,
            variant=variant,
            socket=str(self._run_directory / f"r{number}.sock"),
            requested_s=time.monotonic(),
            started_at=datetime.now(UTC),
        )
        log = self._logs.of(revision.function)
        try:
            process, handover = Process.open(
                replica, log, trial=trial, on_message=self._said, on_lost=self._hung_up
            )
        except OSError as error:
            raise LaunchFailed(f"no replica of {revision.function} can start: {error}") from error
        process.kills_before = out_of_memory_kills()
        self._processes[replica.id] = process
        sent = forkserver.fork(handover.config, handover.log_fd, handover.lifecycle.fileno())
        handover.close()
        if not sent:
            self._bury(process, "launcher", "the forkserver did not take the request")
        else:
            self._listener.replica_changed(replica)
        return process

    def _watch(self, process: Process, now_s: float, limit_s: float) -> None:
        replica, page = process.replica, process.page
        if replica.state == "starting":
            verdict = overdue_start(now_s, requested_s=replica.requested_s)
        else:
            verdict = overdue_run(
                now_s,
                run_started_s=page.run_started_s,
                beat_s=page.beat_s,
                ready_s=replica.ready_s,
                spec=replica.revision.spec,
                limit_s=limit_s,
            )
        if verdict is not None:
            self._condemn(process, verdict)

    def _condemn(self, process: Process, verdict: Verdict) -> None:
        if process.verdict is None:
            process.verdict = verdict
            self._kill(process.replica.id)

    def _check_listening(self, replica: str, reason: str) -> None:
        process = self._processes.get(replica)
        if process is None or process.replica.state != "ready":
            return
        self._watch(process, time.monotonic(), FROZEN_S)
        if not _listens(process.replica):
            self._condemn(process, Verdict("stalled", f"lost: {reason}"))
        elif _is_stopped(process.replica.pid):
            self._condemn(process, Verdict("stalled", "stopped by a signal"))

    async def _drain(self, process: Process) -> None:
        await self._before_drain()
        process.channel.send(Drain())
        budget_s = process.replica.revision.spec.timeout_s + DRAIN_MARGIN_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                await process.gone.wait()
        if not process.gone.is_set():
            _log.warning("%s did not end within %g s; killed", process.replica.id, budget_s)
            self._kill(process.replica.id)

    def _said(self, replica: str, message: FromReplica) -> None:
        process = self._processes[replica]
        if process.started.done():
            return
        process.started.set_result(message)
        if isinstance(message, Failed):
            self._kill_soon(replica)
            return
        process.replica.ready_s = time.monotonic()
        process.replica.load_s = message.load_s  # without what a forkserver still had to import
        if process.replica.state == "starting":
            self._move(process, "ready")

    def _hung_up(self, replica: str) -> None:
        # Its process ends, or is of no use any more: nobody could tell it to drain.
        self._kill_soon(replica)

    def _kill_soon(self, replica: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(LOST_GRACE_S, self._kill, replica)

    def _kill(self, replica: str) -> None:
        process = self._processes.get(replica)
        if process is not None:
            self._forkserver_for(process.replica.revision).kill(replica)

    def _heard(self, event: FromForkserver) -> None:
        process = self._processes.get(event.replica)
        if process is None:
            return
        match event:
            case Forked(pid=pid):
                process.replica.pid = pid
            case ForkFailed(message=message):
                self._bury(process, "launcher", f"the system refused a process: {message}")
            case Exited(status=status):
                self._exited(process, status)

    def _exited(self, process: Process, status: int) -> None:
        process.channel.read_rest()  # it may have said why
        said = process.started.result() if process.started.done() else None
        if process.verdict is not None and status == -signal.SIGKILL:
            self._bury(process, process.verdict.cause, process.verdict.reason)
        elif isinstance(said, Failed):
            self._bury(process, "start", f"it did not start: {said.error.message}")
        else:
            more_kills = out_of_memory_kills() > process.kills_before
            self._bury(process, *explain_exit(status, out_of_memory=more_kills))

    def _forkserver_lost(self, environment: str) -> None:
        for process in self._all():
            if process.replica.revision.environment == environment:
                self._bury(process, "launcher", "the forkserver died, and its replicas with it")

    def _bury(self, process: Process, cause: DeathCause, reason: str) -> None:
        replica = process.replica
        process.close()
        del self._processes[replica.id]
        asked = replica.state == "draining"
        replica.move("gone")
        if not asked:
            replica.death = Death(cause=cause, reason=reason, at=datetime.now(UTC))
        process.gone.set()
        if not process.started.done():
            process.started.set_result(Failed(ErrorBody("load_failed", reason)))
        self._listener.replica_changed(replica)
        if replica.death is not None:
            process.log.note(replica.id, f"edgefn: replica {replica.id}: {reason}")
            self._listener.replica_died(replica, replica.death)
        self._end_idle_forkservers()

    def _move(self, process: Process, state: ReplicaState) -> None:
        process.replica.move(state)
        self._listener.replica_changed(process.replica)


def _is_stopped(pid: int | None) -> bool:
    """Whether a process was stopped (SIGSTOP), and so can neither answer nor end itself."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")


def _listens(replica: Replica) -> bool:
    """Whether connections to a replica can still be made, accepted or not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # EAGAIN: as many as may wait to be accepted wait already.
        return probe.connect_ex(replica.socket) in (0, errno.EAGAIN)
