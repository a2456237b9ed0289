"""The rules that `scaling.py` compares: each says how many replicas there should be."""

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from scaling_world import TICK_S, Load, Rule

from edgefn.scaling.scaler import Scaler
from edgefn.scaling.snapshot import FunctionLoad, Snapshot, VariantLoad
from edgefn_runtime.manifest import Scale

MAX_REPLICAS: Final = 200
TARGETS: Final = tuple(round(0.05 * step, 2) for step in range(5, 25))


class Envelope:
    """The production scaler."""

    def __init__(self, boot_s: float) -> None:
        self._scaler = Scaler()
        self._boot_s = boot_s

    def desired(self, load: Load) -> int:
        variant = VariantLoad(
            replicas=load.replicas,
            ready=load.ready,
            ongoing=round(load.under_way),
            calls=load.calls,
            demand=(load.demand.take(),),
            boot_s=self._boot_s,
        )
        function = FunctionLoad(name="f", scale=Scale(min=1, max=MAX_REPLICAS), variants=(variant,))
        return self._scaler.step(load.now_s, Snapshot(functions=(function,))).desired["f", ""]


class Concurrency:
    """Knative's pod autoscaler: calls under way by a target, over a stable and a panic window."""

    def __init__(self, target: float) -> None:
        self._target = target
        self._seen: deque[float] = deque(maxlen=round(60 / TICK_S))
        self._panic_until_s = -math.inf
        self._level = 1

    def desired(self, load: Load) -> int:
        load.demand.take()
        self._seen.append(load.under_way)
        recent = list(self._seen)[-round(6 / TICK_S) :]
        stable = math.ceil(sum(self._seen) / len(self._seen) / self._target)
        panic = math.ceil(sum(recent) / len(recent) / self._target)
        if panic >= 2 * max(load.ready, 1):
            self._panic_until_s = load.now_s + 60.0
        if load.now_s < self._panic_until_s:
            self._level = max(self._level, panic)
        else:
            self._level = max(stable, 1)
        return min(self._level, MAX_REPLICAS)


class RayServe:
    """Ray Serve's: calls under way by a target, once it was so for as long as the delays say."""

    def __init__(self, target: float, up_s: float, down_s: float) -> None:
        self._target = target
        self._up_s, self._down_s = up_s, down_s
        self._seen: deque[float] = deque(maxlen=round(30 / TICK_S))
        self._level = 1
        self._since_s = 0.0
        self._direction = 0

    def desired(self, load: Load) -> int:
        load.demand.take()
        self._seen.append(load.under_way)
        wanted = max(math.ceil(sum(self._seen) / len(self._seen) / self._target), 1)
        direction = (wanted > self._level) - (wanted < self._level)
        if direction != self._direction:
            self._direction, self._since_s = direction, load.now_s
        delay_s = self._up_s if direction > 0 else self._down_s
        if direction and load.now_s - self._since_s >= delay_s:
            self._level, self._direction = wanted, 0
        return min(self._level, MAX_REPLICAS)


def rules(boot_s: float) -> dict[str, Callable[[], Rule]]:
    """Returns all rules by name."""
    named: dict[str, Callable[[], Rule]] = {
        "envelope": partial(Envelope, boot_s),
        "Ray Serve, default": lambda: RayServe(2.0, 30.0, 600.0),
        "Ray Serve, tuned": lambda: RayServe(0.6, 2.0, 60.0),
    }
    for target in TARGETS:
        named[f"concurrency {target:g}"] = partial(Concurrency, target)
    return named
