"""The scaler with several variants of a function, and with several functions in one memory."""

from typing import Any

from edgefn.scaling.demand import Demand
from edgefn.scaling.scaler import WARM_S, Scaler
from edgefn.scaling.snapshot import FunctionLoad, Snapshot, VariantLoad
from edgefn_runtime.manifest import Scale


def desired(scaler: Scaler, now_s: float, scale: Scale, *loads: VariantLoad) -> tuple[int, ...]:
    """Steps with one function of several variants; returns what is desired of each."""
    function = FunctionLoad(name="f", scale=scale, variants=loads)
    plan = scaler.step(now_s, Snapshot(functions=(function,)))
    return tuple(plan.desired["f", load.name] for load in loads)


def test_variants_are_scaled_apart_and_bounded_together() -> None:
    """The minimum is the default one's; another one has a replica while it is called."""
    scaler, scale = Scaler(), Scale(min=2, max=3, idle_s=1.0)

    def step(now_s: float, waiting: int, calls: int) -> tuple[int, ...]:
        other = VariantLoad(name="b", waiting=waiting, calls=calls)
        return desired(scaler, now_s, scale, VariantLoad(ongoing=20), other)

    assert step(0.0, 0, 0) == (2, 0)
    assert step(1.0, 0, 0) == (3, 0)
    assert step(1.1, 1, 0) == (2, 1)
    assert step(1.2, 0, 1) == (2, 1)
    assert step(4.0, 0, 1) == (3, 0)


def test_a_call_does_not_wait_for_a_variant_that_nobody_calls() -> None:
    """What is only kept warm makes room at once, and does not come back by itself."""
    scaler, scale = Scaler(), Scale(min=0, max=1, idle_s=300.0)

    def step(now_s: float, calls: int, *waiting: int) -> tuple[int, ...]:
        other = VariantLoad(name="b", waiting=waiting[1])
        return desired(scaler, now_s, scale, VariantLoad(waiting=waiting[0], calls=calls), other)

    assert step(0.0, 0, 1, 0) == (1, 0)
    assert step(0.1, 1, 0, 1) == (1, 0), "the default variant is in use"
    assert step(1.2, 1, 0, 1) == (0, 1)
    assert step(9.0, 1, 0, 0) == (0, 1)
    assert step(9.1, 1, 1, 0) == (1, 0)
    assert step(99.0, 1, 0, 0) == (1, 0), "what made room does not come back uncalled"


class Crowd:
    """A scaler with several functions that share memory; each has a replica as far as it may."""

    def __init__(self, **variants: dict[str, Any]) -> None:
        self.scaler = Scaler()
        self.variants = variants
        self.calls = dict.fromkeys(variants, 0)
        self.minimum = dict.fromkeys(variants, 0)

    def step(self, now_s: float, memory_bytes: int, **called: str) -> dict[str, int]:
        """Steps with calls that were answered ("calls") or wait ("waits"), by function."""
        functions = []
        for name, variant in self.variants.items():
            self.calls[name] += called.get(name) == "calls"
            demand = Demand()
            if called.get(name):
                demand.want(now_s, 0.01, 1.0)
            load = VariantLoad(
                calls=self.calls[name],
                waiting=int(called.get(name) == "waits"),
                demand=(demand.take(),),
                **{"boot_s": 0.4, "memory_bytes": 10, **variant},
            )
            scale = Scale(min=self.minimum[name], max=4)
            functions.append(FunctionLoad(name=name, scale=scale, variants=(load,)))
        snapshot = Snapshot(functions=tuple(functions), memory_bytes=memory_bytes)
        plan = self.scaler.step(now_s, snapshot)
        return {name: plan.desired[name, ""] for name in self.variants}


def test_when_memory_is_short_the_least_worthy_go() -> None:
    """Of two that nobody calls now, the one that was called longer ago; the minimum stays."""
    crowd = Crowd(a={}, b={}, c={})
    crowd.minimum["c"] = 1
    crowd.step(0.0, 30, a="calls", b="calls", c="calls")
    assert crowd.step(50.0, 30, a="calls") == {"a": 1, "b": 1, "c": 1}
    assert crowd.step(60.0, 20) == {"a": 1, "b": 0, "c": 1}
    assert crowd.step(61.0, 30) == {"a": 1, "b": 0, "c": 1}, "it does not come back uncalled"
    assert crowd.step(62.0, 5) == {"a": 0, "b": 0, "c": 1}
    assert crowd.scaler.worth(62.0, "a", "") > crowd.scaler.worth(62.0, "b", "")


def test_a_call_that_waits_wins_over_replicas_that_nobody_uses() -> None:
    """Also over those whose deadlines no start would fit, and over smaller ones."""
    crowd = Crowd(a={"boot_s": 5.0}, b={"boot_s": 5.0}, large={"memory_bytes": 15})
    for second in range(30):
        assert crowd.step(float(second), 25, a="calls", b="calls")["large"] == 0
    assert crowd.step(40.0, 25, b="calls", large="waits") == {"a": 0, "b": 1, "large": 1}


def test_one_that_is_called_often_keeps_its_place() -> None:
    """However large: those that are called once in a while come and go beside it."""
    crowd = Crowd(large={"memory_bytes": 20}, a={}, b={})
    for second in range(60):
        rare = {"a": "waits"} if second % 20 == 5 else {"b": "waits"} if second % 20 == 15 else {}
        counts = crowd.step(float(second), 30, large="calls", **rare)
        assert counts["large"] == 1
        assert all(counts[name] for name in rare)


def test_a_forkserver_is_kept_for_hours_after_the_last_call() -> None:
    """Then its environment is cold, unless one of its functions has a replica."""
    scaler = Scaler()

    def step(now_s: float) -> frozenset[str]:
        functions = tuple(
            FunctionLoad(
                name=name,
                scale=Scale(min=minimum, max=1, idle_s=1.0),
                environment=environment,
                variants=(VariantLoad(),),
            )
            for name, minimum, environment in (("a", 0, "x"), ("b", 1, "y"))
        )
        return scaler.step(now_s, Snapshot(functions=functions)).environments

    assert step(0.0) == {"x", "y"}
    assert step(WARM_S - 1.0) == {"x", "y"}
    assert step(WARM_S + 1.0) == {"y"}
