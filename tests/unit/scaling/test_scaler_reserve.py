"""What the scaler asks of the next tier, and what it keeps for a lower one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.demand import Demand
from edgefn.scaling.pool import HOLD_S
from edgefn.scaling.scaler import Scaler
from edgefn.scaling.snapshot import FunctionLoad, Plan, Snapshot, VariantLoad
from edgefn_runtime.manifest import Scale

TICK_S = 0.1
WORK_S = 0.1
MB = 1_000_000


class Box:
    """A box with one function, of which replicas are ready `boot_s` after they are wanted."""

    def __init__(self, scale: Scale, *, boot_s: float = 0.0, memory_bytes: int = 0) -> None:
        self.scaler = Scaler()
        self.now_s = 0.0
        self.scale = scale
        self.boot_s = boot_s
        self.memory_bytes = memory_bytes
        self.calls = 0
        self.starts_s: list[float] = []
        self.plan = Plan(desired={})

    def tick(self, *, reserved: int = 0, demand: Demand | None = None) -> Plan:
        """Looks once, and follows what is desired."""
        self.now_s += TICK_S
        load = VariantLoad(
            replicas=len(self.starts_s),
            ready=sum(at_s + self.boot_s <= self.now_s for at_s in self.starts_s),
            calls=self.calls,
            demand=(demand.take(),) if demand is not None else (),
            boot_s=self.boot_s,
            memory_bytes=10 * MB,
        )
        function = FunctionLoad(name="f", scale=self.scale, variants=(load,), reserved=reserved)
        self.plan = self.scaler.step(
            self.now_s, Snapshot(functions=(function,), memory_bytes=self.memory_bytes)
        )
        wanted = self.plan.desired["f", ""]
        self.starts_s = (self.starts_s + [self.now_s] * wanted)[:wanted]
        return self.plan

    def call(self, for_s: float, rate: float, reserved: int = 0) -> list[int]:
        """Runs under so many calls a second of a tenth of a second each; returns the reserves."""
        told = []
        due_s = self.now_s
        for _ in range(round(for_s / TICK_S)):
            demand = Demand()
            while rate and due_s < self.now_s + TICK_S:
                demand.want(due_s, WORK_S, 0.2)
                due_s += 1.0 / rate
                self.calls += 1
            told.append(self.tick(reserved=reserved, demand=demand).reserve["f"])
        return told

    def rest(self, for_s: float, reserved: int = 0) -> list[int]:
        """Runs without a call; returns the levels."""
        ticks = range(round(for_s / TICK_S))
        return [self.tick(reserved=reserved).desired["f", ""] for _ in ticks]


def test_what_the_bounds_forbid_is_asked_of_the_next_tier_and_nothing_else() -> None:
    """Work for five where two may run; where eight may, nothing, also while they start."""
    assert Box(Scale(min=1, max=2)).call(5.0, rate=50.0)[-1] in (4, 5)
    assert set(Box(Scale(min=1, max=8), boot_s=10.0).call(5.0, rate=50.0)) == {0}


def test_what_the_memory_does_not_hold_is_asked_for_too() -> None:
    """Two replicas fit."""
    box = Box(Scale(min=0, max=8), memory_bytes=25 * MB)
    assert box.call(5.0, rate=50.0)[-1] in (4, 5)
    assert box.plan.desired["f", ""] == 2


def test_the_reserve_is_held_as_replicas_are_and_then_given_up() -> None:
    """It rises with the load, and does not flap between its peaks."""
    box = Box(Scale(min=1, max=1))
    rising = box.call(5.0, rate=40.0)
    assert rising == sorted(rising)
    assert set(box.call(HOLD_S - 5.0, rate=1.0)) == {rising[-1]}
    assert box.call(2 * HOLD_S + 20.0, rate=1.0)[-1] == 0


def test_a_function_that_keeps_nothing_idle_asks_nobody_to() -> None:
    """What it asks for is not held for longer than its own replicas."""
    box = Box(Scale(min=1, max=1, idle_s=1.0))
    assert box.call(5.0, rate=40.0)[-1] >= 3
    box.rest(3.0)
    assert box.plan.reserve["f"] == 0


def test_a_burst_of_calls_whose_run_is_unknown_is_no_reserve() -> None:
    """As it is no reason to start a replica here: the load must last."""
    scaler = Scaler()
    told = []
    for tick, ongoing in enumerate((0, 0, 40, 0, 0, 0)):
        load = VariantLoad(replicas=1, ready=1, ongoing=ongoing)
        function = FunctionLoad(name="f", scale=Scale(min=1, max=1), variants=(load,))
        plan = scaler.step(tick * TICK_S, Snapshot(functions=(function,)))
        told.append(plan.reserve["f"])
    assert set(told) == {0}


def test_a_box_keeps_what_a_lower_tier_asks_for_though_nobody_calls_it() -> None:
    """From zero within a second, for as long as it is asked; then it lets go one by one."""
    box = Box(Scale(min=0, max=8, idle_s=20.0))
    box.rest(30.0)
    levels = box.rest(1.0, reserved=6)
    assert levels[-1] == 6
    assert set(box.rest(60.0, reserved=6)) == {6}
    assert set(box.rest(HOLD_S - 1.0)) == {6}
    levels = box.rest(20.0)
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == 0


def test_calls_that_have_spilled_over_are_not_counted_twice() -> None:
    """What is asked for is there for them, too."""
    box = Box(Scale(min=0, max=8))
    box.call(5.0, rate=30.0, reserved=4)
    assert box.plan.desired["f", ""] == 4


@pytest.mark.parametrize("memory_bytes", [0, 25 * MB])
def test_what_is_asked_for_beyond_bounds_and_memory_goes_on_upwards(memory_bytes: int) -> None:
    """The box starts what it may, and asks the tier above it for the rest."""
    box = Box(Scale(min=0, max=8 if memory_bytes else 2), memory_bytes=memory_bytes)
    assert box.rest(5.0, reserved=5)[-1] == 2
    assert box.plan.reserve["f"] == 3


def test_only_the_default_variant_is_kept_for_others() -> None:
    """Which one their calls will want is not known."""
    scaler = Scaler()
    loads = (VariantLoad(), VariantLoad(name="b"))
    function = FunctionLoad(name="f", scale=Scale(min=0, max=4), variants=loads, reserved=2)
    for tick in range(20):
        plan = scaler.step(tick * TICK_S, Snapshot(functions=(function,)))
    assert plan.desired == {("f", ""): 2, ("f", "b"): 0}


@settings(max_examples=25)
@given(
    st.integers(0, 3),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=8),
)
def test_bounds_hold_whatever_is_asked_for(
    minimum: int, maximum: int, loads: list[tuple[int, int]]
) -> None:
    """And a reserve is only asked for by whoever has all that it may have."""
    box = Box(Scale(min=min(minimum, maximum), max=maximum))
    for reserved, rate in loads:
        before = box.plan.reserve.get("f", 0)
        box.call(0.5, rate=rate, reserved=reserved)
        count = box.plan.desired["f", ""]
        assert box.scale.min <= count <= maximum
        assert box.plan.reserve["f"] <= before or count == maximum
