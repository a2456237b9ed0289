"""How many replicas each variant of each function should have: the scaler of one pool of replicas.

Up follows the arrival-conditioned demand envelope (`envelope`) at once, down after a hold; a
variant of which nobody knows yet how long its calls run follows the calls under way (`under_way`).
Whether a replica is kept for the next call of a rare function follows from when it was called
before (`idle_times`).

The bounds that a function declares hold for its variants together; what each of them wants beyond
that is shared out by `share`. A variant that was not called for a second makes room for one that
is: callers may name variants, and must not have to wait for `idle_s` until another one has ended.
When memory is short, what is least worth it goes first (`memory`); only what was declared as a
minimum and what a call waits for stays in any case.

There are three states of readiness. Hot is a ready replica. Warm is a forkserver that has imported
what the function needs, so that a replica starts within its measured `boot_s`. Cold is neither.

A function that nobody called since the last step is looked at again after a second only.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from edgefn.scaling.memory import Resident, fit
from edgefn.scaling.pool import HOLD_S, Pool
from edgefn.scaling.reserve import Reserve
from edgefn.scaling.share import share
from edgefn.scaling.snapshot import FunctionLoad, Plan, Snapshot, VariantLoad

LOOK_S: Final = 1.0  # between two looks at a function that nobody calls
WARM_S: Final = 4 * 3600.0  # a forkserver is kept for so long after the last call

Key = tuple[str, str]


@dataclass(slots=True)
class _Function:
    """What is remembered of one function.

    Attributes:
        load: As it was told last.
        pools: By name of the variant.
        desired: Replicas, when it was looked at last.
        reserve: As `Plan.reserve`.
        look_s: When to look at it again, if nobody calls it.
    """

    load: FunctionLoad
    pools: dict[str, Pool]
    desired: dict[str, int]
    reserve: int = 0
    look_s: float = -math.inf
    held: Reserve = field(default_factory=Reserve)


class Scaler:
    """Decides how many replicas each variant should have. Pure: time and load are handed in."""

    def __init__(self) -> None:
        self._functions: dict[str, _Function] = {}

    def step(self, now_s: float, snapshot: Snapshot) -> Plan:
        """Returns what there should be.

        For a default variant there are at least `scale.min` replicas; for each at least 1 while a
        call waits, as long as not all of `scale.max` are in use by others. A function whose calls
        of late could not wait for a replica to start has at least one, if there is memory. What
        the snapshot no longer has is forgotten.

        Args:
            now_s: Monotonic; never less than at the last step.
            snapshot: What there is, and what came in since the last step.
        """
        known, self._functions = self._functions, {}
        desired: dict[Key, int] = {}
        due: list[_Function] = []
        for load in snapshot.functions:
            function = known.get(load.name) or _Function(load, {}, {})
            self._functions[load.name] = function
            is_due = now_s >= function.look_s or _has_news(function, load)
            function.load = load
            if is_due:
                self._look(now_s, function)
                due.append(function)
            for variant, count in function.desired.items():
                desired[load.name, variant] = count
        cut = self._fit(now_s, snapshot, desired) if snapshot.memory_bytes else set()
        for function in due:
            _leave(now_s, function, desired, is_cut=function.load.name in cut)
        return Plan(
            desired=desired,
            environments=frozenset(
                function.load.environment
                for function in self._functions.values()
                if _is_warm(now_s, function, desired)
            ),
            reserve={name: one.reserve for name, one in self._functions.items()},
        )

    def worth(self, now_s: float, function: str, variant: str) -> float:
        """Returns what a replica of a variant is worth, by the memory that it takes.

        For whoever has replicas on several boxes, none of which has room for another one: what is
        worth less makes room.

        Args:
            now_s: Monotonic.
            function: As of the last step.
            variant: As `VariantLoad.name`.
        """
        known = self._functions[function]
        load = next(one for one in known.load.variants if one.name == variant)
        count = max(load.replicas, 1)
        return known.pools[variant].resident(now_s, load, count=count, kept=0).worth(count)

    @staticmethod
    def _look(now_s: float, function: _Function) -> None:
        load = function.load
        function.pools = {
            one.name: function.pools.get(one.name) or Pool(one.replicas, now_s, now_s)
            for one in load.variants
        }
        pools = list(function.pools.values())
        for pool, one in zip(pools, load.variants, strict=True):
            pool.step(now_s, load, one)
        _keep_one(now_s, load, pools)
        scale = load.scale
        quiet_s = [pool.quiet_s(now_s) for pool in pools]
        levels = [pool.level for pool in pools]
        counts = share(levels, quiet_s, minimum=scale.min, maximum=scale.max)
        for pool, count in zip(pools, counts, strict=True):
            if pool.quiet_s(now_s):
                pool.give_way(count)
        function.desired = dict(zip(function.pools, counts, strict=True))
        rests = all(quiet_s) and not load.reserved
        function.look_s = now_s + LOOK_S if rests else -math.inf

    def _fit(self, now_s: float, snapshot: Snapshot, desired: dict[Key, int]) -> set[str]:
        """Takes away what there is no memory for; returns the functions that have less."""
        wanted = {
            (function.name, load.name): (function, load)
            for function in snapshot.functions
            for load in function.variants
            if desired[function.name, load.name]
        }
        needed_bytes = sum(desired[key] * load.memory_bytes for key, (_, load) in wanted.items())
        cut: set[str] = set()
        if needed_bytes <= snapshot.memory_bytes:
            return cut
        residents = [
            self._resident(now_s, function, load, desired[key])
            for key, (function, load) in wanted.items()
        ]
        for key, count in zip(wanted, fit(residents, snapshot.memory_bytes), strict=True):
            if count < desired[key]:
                function = self._functions[key[0]]
                pool = function.pools[key[1]]
                desired[key] = count
                cut.add(key[0])
                if pool.quiet_s(now_s):
                    pool.give_way(count)
                    function.desired[key[1]] = count
        return cut

    def _resident(
        self, now_s: float, function: FunctionLoad, load: VariantLoad, count: int
    ) -> Resident:
        kept = max(0 if load.name else function.scale.min, 1 if load.waiting else 0)
        pool = self._functions[function.name].pools[load.name]
        return pool.resident(now_s, load, count=count, kept=kept)


def _has_news(function: _Function, load: FunctionLoad) -> bool:
    known = function.load
    if load.scale != known.scale or load.reserved != known.reserved:
        return True
    if len(load.variants) != len(function.pools):
        return True
    for one in load.variants:
        pool = function.pools.get(one.name)
        if (
            pool is None
            or one.calls != pool.calls
            or one.ongoing
            or one.waiting
            or any(report.moments_s for report in one.demand)
        ):
            return True
    return False


def _leave(now_s: float, function: _Function, desired: dict[Key, int], *, is_cut: bool) -> None:
    """Sets what a function that was just looked at leaves to the next tier."""
    load = function.load
    missing = 0.0
    if is_cut or sum(function.desired.values()) >= load.scale.max:
        for one, pool in zip(load.variants, function.pools.values(), strict=True):
            need = pool.need if one.name else max(pool.need, load.reserved)
            missing += max(need - desired[load.name, one.name], 0.0)
    hold_s = min(HOLD_S, load.scale.idle_s)
    function.reserve = function.held.push(now_s, missing, hold_s)


def _keep_one(now_s: float, function: FunctionLoad, pools: list[Pool]) -> None:
    if any(pool.level for pool in pools):
        return
    for pool, load in zip(pools, function.variants, strict=True):
        if pool.must_stay(now_s, load.boot_s):
            pool.level = 1
            return


def _is_warm(now_s: float, function: _Function, desired: dict[Key, int]) -> bool:
    name = function.load.name
    return any(
        desired[name, variant] or now_s - pool.called_s < WARM_S
        for variant, pool in function.pools.items()
    )
