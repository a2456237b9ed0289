"""How many replicas each variant of each function should have: the scaler of one pool of replicas.

Up follows the arrival-conditioned demand envelope (`envelope`) at once, down after a hold; a
variant of which nobody knows yet how long its calls run follows the calls under way (`under_way`).
Whether a replica is kept for the next call of a rare function follows from when it was called
before (`idle_times`).

The bounds that a function declares hold for its variants together; what each of them wants beyond
that is shared out by `share`. A variant that was not called for a second makes room for one that
is: callers may name variants, and must not have to wait for `idle_s` until another one has ended.
When memory is short, what is least worth it goes first (`memory`).

There are three states of readiness. Hot is a ready replica. Warm is a forkserver that has imported
what the function needs, so that a replica starts within its measured `boot_s`. Cold is neither.
"""

from typing import Final

from edgefn.scaling.costs import PoolCosts
from edgefn.scaling.memory import Resident, fit
from edgefn.scaling.pool import Pool
from edgefn.scaling.share import share
from edgefn.scaling.snapshot import FunctionLoad, Plan, Snapshot, VariantLoad

SOON_S: Final = 60.0  # ahead of which one looks for calls when memory is short
WARM_S: Final = 4 * 3600.0  # a forkserver is kept for so long after the last call
UNKNOWN_BOOT_S: Final = 0.1

_Key = tuple[str, str]


class Scaler:
    """Decides how many replicas each variant should have. Pure: time and load are handed in."""

    def __init__(self) -> None:
        self._pools: dict[_Key, Pool] = {}
        self._credits: dict[_Key, float] = {}
        self._credit = 0.0  # worth of the last replica for which there was no memory

    def step(self, now_s: float, snapshot: Snapshot) -> Plan:
        """Returns what there should be.

        For a default variant there are at least `scale.min` replicas; for each at least 1 while a
        call waits, as long as not all of `scale.max` are in use by others. A function whose calls
        of late could not wait for a replica to start has at least one. What the snapshot no longer
        has is forgotten.

        Args:
            now_s: Monotonic; never less than at the last step.
            snapshot: What there is, and what came in since the last step.
        """
        self._pools = {
            (function.name, load.name): self._pools.get((function.name, load.name))
            or Pool(load.replicas, now_s, now_s)
            for function in snapshot.functions
            for load in function.variants
        }
        desired: dict[_Key, int] = {}
        for function in snapshot.functions:
            desired.update(self._of_function(now_s, function, snapshot.costs))
        if snapshot.memory_bytes:
            self._fit(now_s, snapshot, desired)
        return Plan(
            desired=desired,
            environments=frozenset(
                function.environment
                for function in snapshot.functions
                if self._is_warm(now_s, function, desired)
            ),
            reserve={each.name: self._reserve(each) for each in snapshot.functions},
        )

    def _of_function(
        self, now_s: float, function: FunctionLoad, costs: PoolCosts | None
    ) -> dict[_Key, int]:
        pools = [self._pools[function.name, load.name] for load in function.variants]
        for pool, load in zip(pools, function.variants, strict=True):
            pool.step(now_s, function, load, costs)
        self._keep_one(now_s, function, pools)
        scale = function.scale
        quiet_s = [pool.quiet_s(now_s) for pool in pools]
        levels = [pool.level for pool in pools]
        counts = share(levels, quiet_s, minimum=scale.min, maximum=scale.max)
        for pool, count in zip(pools, counts, strict=True):
            if pool.quiet_s(now_s):
                pool.give_way(count)
        return {
            (function.name, load.name): count
            for load, count in zip(function.variants, counts, strict=True)
        }

    @staticmethod
    def _keep_one(now_s: float, function: FunctionLoad, pools: list[Pool]) -> None:
        if any(pool.level for pool in pools):
            return
        for pool, load in zip(pools, function.variants, strict=True):
            if pool.must_stay(now_s, load.boot_s):
                pool.level = 1
                return

    def _fit(self, now_s: float, snapshot: Snapshot, desired: dict[_Key, int]) -> None:
        """Takes away what there is no memory for."""
        residents: dict[_Key, Resident] = {}
        for function in snapshot.functions:
            for load in function.variants:
                key = function.name, load.name
                if not self._pools[key].quiet_s(now_s):
                    self._credits[key] = self._credit
                if desired[key]:
                    residents[key] = self._resident(now_s, function, load, desired[key])
        counts, worth = fit(list(residents.values()), snapshot.memory_bytes)
        self._credit = max(self._credit, worth)
        self._credits = {key: self._credits.get(key, 0.0) for key in self._pools}
        for key, count in zip(residents, counts, strict=True):
            if count < desired[key]:
                desired[key] = count
                if self._pools[key].quiet_s(now_s):
                    self._pools[key].give_way(count)

    def _resident(
        self, now_s: float, function: FunctionLoad, load: VariantLoad, count: int
    ) -> Resident:
        key = function.name, load.name
        pool = self._pools[key]
        kept = 0 if load.name else function.scale.min
        if load.waiting or pool.must_stay(now_s, load.boot_s):
            kept = max(kept, 1)
        return Resident(
            count=count,
            kept=kept,
            memory_bytes=load.memory_bytes,
            chance=pool.chance(now_s, SOON_S),
            boot_s=load.boot_s or UNKNOWN_BOOT_S,
            credit=self._credits.get(key, 0.0),
        )

    def _is_warm(self, now_s: float, function: FunctionLoad, desired: dict[_Key, int]) -> bool:
        keys = [(function.name, load.name) for load in function.variants]
        return any(desired[key] for key in keys) or any(
            now_s - self._pools[key].called_s < WARM_S for key in keys
        )

    def _reserve(self, function: FunctionLoad) -> float:
        return sum(
            max(self._pools[function.name, load.name].need - load.ready, 0.0)
            for load in function.variants
        )
