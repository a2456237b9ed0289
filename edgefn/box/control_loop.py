"""The control loop: makes the replicas that there are into those that there should be."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from edgefn.box.deaths import Death
from edgefn.box.functions import Function
from edgefn.box.leasing.ledger import Key, Ledger
from edgefn.box.leasing.room import Need, counts
from edgefn.box.loads import live_of, scaled_as, snapshot
from edgefn.box.memory import BoxMemory
from edgefn.box.replica import Replica
from edgefn.box.replica_source import LaunchFailed, ReplicaSource, StartsSoon
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import FunctionRoute
from edgefn.scaling.scaler import Scaler
from edgefn.scaling.snapshot import Plan, Snapshot
from edgefn_runtime.variant import Variant

TICK_S: Final = 0.1
MEMORY_S: Final = 5.0  # between two looks at the memory of all replicas
SOON_S: Final = 0.01  # after which a forkserver that was asked for is there
WAKE_S: Final = 1.0  # a call that woke a function is counted for so long, reported or not

_log = logging.getLogger(__name__)


class ControlLoop:
    """Holds what is deployed and keeps its replicas; implements `ReplicaListener`.

    It acts at every tick, and at once when a call waits, a replica dies or a revision comes.

    Args:
        totals: What the gateways reported.
        publish: Tells the gateways the routing table.

    Attributes:
        functions: What is deployed, by name.
        ledger: Of the leases; who changes it calls `reconcile`.
    """

    def __init__(
        self, *, totals: Totals, publish: Callable[[tuple[FunctionRoute, ...]], None]
    ) -> None:
        self.functions: dict[str, Function] = {}
        self.ledger = Ledger()
        self._totals = totals
        self._publish = publish
        self._scaler = Scaler()
        self._memory = BoxMemory()
        self._measured_s = -MEMORY_S
        self._warm: frozenset[str] = frozenset()
        self._woken_s: dict[tuple[str, str], float] = {}  # by function and variant
        self._refused: dict[tuple[str, str], str] = {}  # why the last start failed
        self._counts: dict[Key, int] = {}  # that there should be
        self._source: ReplicaSource | None = None
        self._watchers: list[Callable[[], None]] = []

    def attach(self, source: ReplicaSource) -> None:
        """Says where replicas come from; until then nothing is started."""
        self._source = source

    def detach(self) -> None:
        """Leaves the replicas as they are from now on."""
        self._source = None

    def watch(self, look: Callable[[], None]) -> None:
        """Has `look` called after every step, and whenever the routes change."""
        self._watchers.append(look)

    async def run(self) -> None:
        """Acts at every tick, until cancelled."""
        while True:
            try:
                now_s = time.monotonic()
                if now_s - self._measured_s >= MEMORY_S:
                    self._measured_s = now_s
                    await self._memory.measure(self._replicas())
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
        name, default = revision.function, revision.default.name
        function = self.functions.setdefault(name, Function(serving=revision))
        function.serve(revision)
        self._totals.expect(name)
        self._forget(name)
        if load_s:
            function.load_s[default] = load_s
            self._woken_s[name, default] = time.monotonic()  # what was just staged is not idle yet
        self.publish()
        for replica in self._replicas():
            if replica.revision.function == name and not function.serves(replica):
                self._give_back(replica)
        if load_s:
            asyncio.get_running_loop().call_soon(self._reconcile_now)

    def serving(self) -> list[Revision]:
        """Returns the revision that serves of each function."""
        return [function.serving for function in self.functions.values()]

    def served_here(self) -> list[Revision]:
        """Returns those of them that are not for other boxes alone."""
        return [revision for revision in self.serving() if not revision.elsewhere]

    def size(self, name: str) -> int:
        """Returns how many replicas of its default variant a function has; 0 for an unknown one."""
        function = self.functions.get(name)
        if function is None:
            return 0
        return len(live_of(function, function.serving.default, self._replicas()))

    def quarantine(self, name: str, reason: str) -> None:
        """Refuses calls of a function, and starts nothing for it, until the next deployment."""
        _log.error("%s is quarantined: %s", name, reason)
        self.functions[name].quarantine(reason)
        self.publish()

    def drop(self, name: str) -> None:
        """Removes a function; its replicas are drained."""
        del self.functions[name]
        self.ledger.forget_lost(name)
        self._totals.forget(name)
        self._forget(name)
        self.publish()
        for replica in self._replicas():
            if replica.revision.function == name:
                self._give_back(replica)

    def live(self, function: Function, variant: Variant) -> list[Replica]:
        """Returns the replicas of a variant that start or take calls, these first, then by age."""
        live = live_of(function, variant, self._replicas())
        return sorted(live, key=lambda replica: replica.state != "ready")

    def lacks_room(self, key: Key) -> bool:
        """Whether there is not memory for every replica of a variant that leases hold."""
        return key in self._counts and self._counts[key] < self.ledger.held(key)

    def wake(self, name: str, variant: str) -> None:
        """Acts on a call that waits for a first replica of a variant."""
        function = self.functions.get(name)
        if function is not None and variant in function.crash_loops:
            self._woken_s[name, variant] = time.monotonic()
            self.reconcile(time.monotonic())

    def replica_changed(self, replica: Replica) -> None:
        """See `ReplicaListener`."""
        function = self.functions.get(replica.revision.function)
        if function is None or not function.serves(replica):
            return
        if replica.state == "ready":
            function.load_s[replica.variant.name] = replica.load_s
        if replica.state != "starting":
            self.publish()

    def replica_died(self, replica: Replica, death: Death) -> None:
        """See `ReplicaListener`."""
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
        variant = replica.variant.name
        crash_loop = function.crash_loops[variant]
        crash_loop.died(time.monotonic(), death.reason)
        if crash_loop.quarantined_because:
            _log.error("%s, variant %s: %s", name, variant, crash_loop.quarantined_because)
            self.publish()
        asyncio.get_running_loop().call_soon(self._reconcile_now)

    def publish(self) -> None:
        """Tells the gateways the routing table."""
        replicas = self._replicas()
        self._publish(tuple(function.route(replicas) for function in self.functions.values()))
        self._tell_watchers()

    def reconcile(self, now_s: float) -> None:
        """Starts replicas that are missing, and has those drained that are too many."""
        functions = list(self.functions.values())
        woken = {key for key, at_s in self._woken_s.items() if now_s - at_s < WAKE_S}
        seen = snapshot(functions, self._replicas(), self._totals, self._memory, woken)
        plan = self._scaler.step(now_s, seen)
        self._note_reserves(seen, plan)
        if plan.environments != self._warm and self._source is not None:
            self._warm = plan.environments
            self._source.keep_warm(self._warm)
        startable = {
            (function.serving.function, variant.name): (function, variant)
            for function in functions
            for variant in function.startable()
        }
        needs = {
            key: self._need(now_s, *one, plan.desired[key[0], scaled_as(*one)])
            for key, one in startable.items()
        }
        self._counts = counts(needs, self._memory.budget_bytes)
        for key, one in startable.items():
            self._adjust(now_s, *one, self._counts[key])
        self._tell_watchers()

    def _reconcile_now(self) -> None:
        self.reconcile(time.monotonic())

    def _note_reserves(self, seen: Snapshot, plan: Plan) -> None:
        """Tells the gateways what to ask of the next tier, when that has changed."""
        asked = {load.name: load.reserved for load in seen.functions}
        changed = False
        for name, function in self.functions.items():
            reserve = plan.reserve.get(name, 0)
            changed = changed or reserve != function.reserve
            function.reserve, function.reserved = reserve, asked.get(name, 0)
        if changed:
            self.publish()

    def _need(self, now_s: float, function: Function, variant: Variant, wanted: int) -> Need:
        """Returns what a variant should have, and takes note of it for those who ask."""
        name = variant.name
        key = function.serving.function, name
        may_start = not function.crash_loops[name].quarantined_because
        function.wanted[name] = wanted if may_start else 0
        function.leases[name] = self.ledger.held(key)
        return Need(
            wanted=function.wanted[name],
            floor=self.ledger.floor(now_s, key) if may_start else 0,
            memory_bytes=self._memory.of(key[0], variant),
        )

    def _adjust(self, now_s: float, function: Function, variant: Variant, count: int) -> None:
        """Brings the replicas of one variant nearer to a number."""
        live = live_of(function, variant, self._replicas())
        if len(live) > count:
            idlest = self._least_busy(function, variant, live)
            for replica in idlest[: len(live) - count]:
                self._give_back(replica)
        elif len(live) < count and function.crash_loops[variant.name].may_start(now_s):
            self._start(function, variant, count - len(live))

    def _least_busy(
        self, function: Function, variant: Variant, live: list[Replica]
    ) -> list[Replica]:
        """Returns the ready ones: those that no lease shows first, then those with the fewest
        calls, of these the youngest.
        """
        name = function.serving.function
        shown = self.ledger.bind(
            (name, variant.name), [replica.id for replica in self.live(function, variant)]
        )
        ready = [replica for replica in reversed(live) if replica.state == "ready"]
        return sorted(
            ready,
            key=lambda replica: (replica.id in shown, self._totals.at_replica(name, replica.id)),
        )

    def _start(self, function: Function, variant: Variant, count: int) -> None:
        revision = function.serving
        key = revision.function, variant.name
        if self._source is None:
            return
        try:
            for _ in range(count):
                self._source.take(revision.function, revision.number, variant.name)
                self._refused.pop(key, None)
        except StartsSoon:
            asyncio.get_running_loop().call_later(SOON_S, self._reconcile_now)
        except LaunchFailed as error:  # the next tick tries again
            if self._refused.get(key) != str(error):
                self._refused[key] = str(error)
                _log.warning("%s", error)

    def _forget(self, name: str) -> None:
        """Forgets what was remembered of the revision that served."""
        for known in (self._woken_s, self._refused):
            for key in [key for key in known if key[0] == name]:
                del known[key]

    def _check(self, replica: Replica) -> None:
        if self._source is not None:
            self._source.check(replica.id)

    def _give_back(self, replica: Replica) -> None:
        if self._source is not None:
            self._source.give_back(replica.id)

    def _tell_watchers(self) -> None:
        for look in self._watchers:
            look()

    def _replicas(self) -> Iterable[Replica]:
        return self._source.replicas() if self._source is not None else ()
