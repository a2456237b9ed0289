"""The control loop: makes the replicas that there are into those that there should be."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from edgefn.box.crash_loop import CrashLoop
from edgefn.box.deaths import Death
from edgefn.box.functions import Function
from edgefn.box.leases import LaunchFailed, Leases
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import FunctionRoute
from edgefn.scaling import FunctionLoad, Scaler, full_at

TICK_S: Final = 0.1
WAKE_S: Final = 1.0  # a call that woke a function is counted for so long, reported or not

_log = logging.getLogger(__name__)


class ControlLoop:
    """Holds what is deployed and keeps its replicas; implements `LeaseListener`.

    It acts at every tick, and at once when a call waits, a replica dies or a revision comes.

    Args:
        totals: What the gateways reported.
        publish: Tells the gateways the routing table.
    """

    def __init__(
        self, *, totals: Totals, publish: Callable[[tuple[FunctionRoute, ...]], None]
    ) -> None:
        self.functions: dict[str, Function] = {}
        self._totals = totals
        self._publish = publish
        self._scaler = Scaler()
        self._woken_s: dict[str, float] = {}
        self._leases: Leases | None = None

    def attach(self, leases: Leases) -> None:
        """Says where replicas come from; until then nothing is started."""
        self._leases = leases

    def detach(self) -> None:
        """Leaves the replicas as they are from now on."""
        self._leases = None

    async def run(self) -> None:
        """Acts at every tick, until cancelled."""
        while True:
            try:
                for replica in self._replicas():
                    self._check(replica)
                self.reconcile(time.monotonic())
            except Exception:
                _log.exception("the control loop stumbled; it goes on")
            await asyncio.sleep(TICK_S)

    def serve(self, revision: Revision, *, load_s: float) -> None:
        """Makes a revision take its function's calls; replicas of an older one are drained.

        Args:
            revision: Has a ready replica, if it was just staged.
            load_s: How long that one took from fork to ready; 0 if there is none.
        """
        name = revision.function
        function = self.functions.get(name) or Function(serving=revision)
        function.serving, function.load_s = revision, load_s or function.load_s
        function.crash_loop = CrashLoop()
        self.functions[name] = function
        self._totals.expect(name)
        if load_s:
            self._woken_s[name] = time.monotonic()  # what was just staged is not idle yet
        self.publish()
        for replica in self._replicas():
            if replica.revision.function == name and not function.serves(replica):
                self._give_back(replica)

    def quarantine(self, name: str, reason: str) -> None:
        """Refuses calls of a function, and starts nothing for it, until the next deployment."""
        _log.error("%s is quarantined: %s", name, reason)
        self.functions[name].crash_loop.quarantine(reason)
        self.publish()

    def drop(self, name: str) -> None:
        """Removes a function; its replicas are drained."""
        del self.functions[name]
        self._totals.forget(name)
        self._woken_s.pop(name, None)
        self.publish()
        for replica in self._replicas():
            if replica.revision.function == name:
                self._give_back(replica)

    def wake(self, name: str) -> None:
        """Acts on a call that waits for a first replica."""
        if name in self.functions:
            self._woken_s[name] = time.monotonic()
            self.reconcile(time.monotonic())

    def replica_changed(self, replica: Replica) -> None:
        """See `LeaseListener`."""
        function = self.functions.get(replica.revision.function)
        if function is None or not function.serves(replica):
            return
        if replica.state == "ready":
            function.load_s = replica.load_s
        if replica.state != "starting":
            self.publish()

    def replica_died(self, replica: Replica, death: Death) -> None:
        """See `LeaseListener`."""
        name = replica.revision.function
        _log.warning("%s: replica %s died: %s", name, replica.id, death.reason)
        function = self.functions.get(name)
        if function is None or not function.serves(replica):
            return
        function.deaths += 1
        function.last_death = death
        self._totals.functions[name].deaths[death.cause] += 1
        if death.cause == "launcher":
            return  # the next tick tries again; at once would only ask a full system once more
        function.crash_loop.died(time.monotonic(), death.reason)
        if function.crash_loop.quarantined_because:
            _log.error("%s: %s", name, function.crash_loop.quarantined_because)
            self.publish()
        asyncio.get_running_loop().call_soon(self._reconcile_now)

    def publish(self) -> None:
        """Tells the gateways the routing table."""
        replicas = self._replicas()
        self._publish(tuple(function.route(replicas) for function in self.functions.values()))

    def reconcile(self, now_s: float) -> None:
        """Starts replicas that are missing, and has those drained that are too many."""
        loads = [self._load(now_s, function) for function in self.functions.values()]
        desired = self._scaler.desired(now_s, loads)
        for name, function in self.functions.items():
            live = self._live(function)
            wanted = 0 if function.crash_loop.quarantined_because else desired[name]
            if len(live) > wanted:
                for replica in self._least_busy(name, live)[: len(live) - wanted]:
                    self._give_back(replica)
            elif len(live) < wanted and function.crash_loop.may_start(now_s):
                self._start(function, wanted - len(live))

    def _reconcile_now(self) -> None:
        self.reconcile(time.monotonic())

    def _load(self, now_s: float, function: Function) -> FunctionLoad:
        name, totals = function.serving.function, self._totals
        woken = now_s - self._woken_s.get(name, -WAKE_S) < WAKE_S
        return FunctionLoad(
            name=name,
            scale=function.serving.spec.scale,
            calls_per_replica=full_at(function.serving.spec),
            replicas=len(self._live(function)),
            ongoing=totals.ongoing(name),
            waiting=max(totals.waiting(name), int(woken)),
            calls=totals.functions[name].calls,
        )

    def _live(self, function: Function) -> list[Replica]:
        return [
            replica
            for replica in self._replicas()
            if replica.state in ("starting", "ready") and function.serves(replica)
        ]

    def _least_busy(self, name: str, live: list[Replica]) -> list[Replica]:
        """Returns the ready ones: those with the fewest calls first, of these the youngest."""
        ready = [replica for replica in reversed(live) if replica.state == "ready"]
        return sorted(ready, key=lambda replica: self._totals.at_replica(name, replica.id))

    def _start(self, function: Function, count: int) -> None:
        revision = function.serving
        if self._leases is None:
            return
        try:
            for _ in range(count):
                self._leases.take(revision.function, revision.number, revision.variant.name)
        except LaunchFailed as error:
            _log.warning("%s", error)  # the next tick tries again

    def _check(self, replica: Replica) -> None:
        if self._leases is not None:
            self._leases.check(replica.id)

    def _give_back(self, replica: Replica) -> None:
        if self._leases is not None:
            self._leases.give_back(replica.id)

    def _replicas(self) -> Iterable[Replica]:
        return self._leases.replicas() if self._leases is not None else ()
