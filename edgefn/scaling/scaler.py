"""How many replicas a lone box keeps for each variant of each function.

Like the Kubernetes HorizontalPodAutoscaler it works with two stabilisation windows: the number
rises to the lowest that was wanted all through a short window, and falls towards the highest that
was wanted at any time of a long one, `idle_s`. A load that does not change gives both windows the
same numbers, so it never makes the result flap.

What is wanted follows from the calls that are under way. A replica runs one batch at a time, so
with two batches of calls under way one runs and one forms; with more, a new call waits for longer
than a whole batch takes, and another replica would have answered it sooner. An asynchronous
function overlaps its calls, and is full when it runs as many as it may.

The bounds that a function declares hold for its variants together; what each of them wants beyond
that is shared out by `share`. A variant that was not called for `QUIET_S` makes room for one that
is: callers may name variants, and must not have to wait for `idle_s` until another one has ended.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edgefn.scaling.share import share
from edgefn_runtime.manifest import ASYNC_RUNS, FunctionSpec, Scale

UP_S: Final = 0.6  # three reports of a gateway: one burst is not yet a load
STEP_S: Final = 1.0  # between two replicas given up one after the other
BATCHES: Final = 2  # one that runs and one that forms
QUIET_S: Final = 1.0  # of a variant in use there is hardly a second without a call
RELUCTANCE: Final = 2  # a replica is given up only if the others would be this far from full


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLoad:
    """What a box sees of one variant of a function.

    Attributes:
        name: Of the function.
        variant: Empty for the default one: whichever it is, a new revision goes on at its level.
        scale: The bounds that were declared, and `idle_s`.
        calls_per_replica: Calls under way that one replica is meant to have (`full_at`).
        replicas: Starting or ready. Counts only where the function is seen for the first time.
        ongoing: Calls that are at a replica.
        waiting: Calls that wait for a first replica.
        calls: Calls answered so far, ever growing.
    """

    name: str
    variant: str = ""
    scale: Scale
    calls_per_replica: int
    replicas: int
    ongoing: int
    waiting: int
    calls: int


def full_at(spec: FunctionSpec) -> int:
    """Returns how many calls may be under way at one replica before another one would help."""
    return ASYNC_RUNS * spec.batch if spec.is_async else BATCHES * spec.batch


class _Highest:
    """The highest of the values seen within a time, in constant amortised work and little memory.

    A value can be forgotten as soon as one that is as high comes after it, so what is kept falls
    strictly from the oldest to the newest.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int]] = deque()

    def push(self, now_s: float, value: int, within_s: float) -> int:
        kept = self._kept
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((now_s, value))
        while kept[0][0] < now_s - within_s:
            kept.popleft()
        return kept[0][1]


@dataclass(slots=True)
class _Memory:
    """What is remembered of one function between two decisions."""

    level: int
    since_s: float
    called_s: float
    calls: int = -1
    stepped_s: float = -math.inf
    down: _Highest = field(default_factory=_Highest)
    up: _Highest = field(default_factory=_Highest)

    def quiet_s(self, now_s: float) -> float:
        """Returns how long ago it was called; 0 if it is in use."""
        quiet_s = now_s - self.called_s
        return quiet_s if quiet_s >= QUIET_S else 0.0


class Scaler:
    """Decides how many replicas each variant should have. Pure: time and load are handed in."""

    def __init__(self) -> None:
        self._memory: dict[tuple[str, str], _Memory] = {}

    def desired(self, now_s: float, loads: Iterable[FunctionLoad]) -> dict[tuple[str, str], int]:
        """Returns the number of replicas, starting ones included, by function and variant.

        For a default variant it is at least `scale.min`. For each it is at least 1 while a call
        waits, as long as not all of `scale.max` are in use by others. What `loads` no longer has is
        forgotten.

        Args:
            now_s: Monotonic; never less than at the last decision.
            loads: One for each variant that may have replicas, of each function the default one
                first.
        """
        memory: dict[tuple[str, str], _Memory] = {}
        variants: dict[str, list[FunctionLoad]] = {}
        for load in loads:
            key = load.name, load.variant
            memory[key] = self._memory.get(key) or _Memory(load.replicas, now_s, now_s)
            self._decide(now_s, load, memory[key])
            variants.setdefault(load.name, []).append(load)
        self._memory = memory
        desired: dict[tuple[str, str], int] = {}
        for name, of_function in variants.items():
            scale = of_function[0].scale
            remembered = [memory[name, load.variant] for load in of_function]
            quiet_s = [each.quiet_s(now_s) for each in remembered]
            levels = [each.level for each in remembered]
            shares = share(levels, quiet_s, minimum=scale.min, maximum=scale.max)
            for load, each, count in zip(of_function, remembered, shares, strict=True):
                desired[name, load.variant] = count
                if each.quiet_s(now_s):
                    each.level = count  # what made room comes back when it is called, not before
        return desired

    @staticmethod
    def _decide(now_s: float, load: FunctionLoad, memory: _Memory) -> None:
        under_way = load.ongoing + load.waiting
        called = under_way > 0 or load.calls != memory.calls
        memory.calls = load.calls
        if called:
            memory.called_s = now_s
        needed = math.ceil(under_way / load.calls_per_replica)
        comfortable = max(math.ceil(under_way * RELUCTANCE / load.calls_per_replica), int(called))
        lowest = -memory.up.push(now_s, -needed, UP_S)
        highest = memory.down.push(now_s, comfortable, load.scale.idle_s)
        level = memory.level
        seen_s = now_s - memory.since_s  # a window says nothing before it has been filled
        idle = seen_s >= load.scale.idle_s and now_s - memory.stepped_s >= STEP_S
        if lowest > level and seen_s >= UP_S:
            level = lowest
        elif highest < level and idle:
            level -= 1
            memory.stepped_s = now_s
        minimum = 0 if load.variant else load.scale.min
        floor = max(minimum, 1 if load.waiting else 0)
        memory.level = min(max(level, floor), load.scale.max)
