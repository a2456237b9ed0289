"""The scaler against a fake clock."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.demand import Demand
from edgefn.scaling.scaler import WARM_S, Scaler
from edgefn.scaling.snapshot import FunctionLoad, Plan, Snapshot, VariantLoad, full_at, lanes_of
from edgefn_runtime.manifest import FunctionSpec, Scale

TICK_S = 0.1
WORK_S = 0.1


class Box:
    """A scaler, a clock, and a function whose load a test sets; `variant` tells what is usual."""

    def __init__(self, scale: Scale, *, per_replica: int = 2, replicas: int = 0, **variant: Any):
        self.scaler = Scaler()
        self.now_s = 100.0
        self.scale = scale
        self.per_replica = per_replica
        self.replicas = replicas
        self.calls = 0
        self.variant = variant
        self.lanes = 1
        self.plan = Plan(desired={})

    def tick(
        self,
        ongoing: int = 0,
        waiting: int = 0,
        after_s: float = TICK_S,
        demand: Demand | None = None,
    ) -> int:
        self.now_s += after_s
        load = VariantLoad(
            replicas=self.replicas,
            ready=self.replicas,
            ongoing=ongoing,
            waiting=waiting,
            calls=self.calls,
            demand=(demand.take(),) if demand is not None else (),
            **self.variant,
        )
        function = FunctionLoad(
            name="f",
            scale=self.scale,
            variants=(load,),
            lanes=self.lanes,
            calls_per_replica=self.per_replica,
        )
        self.plan = self.scaler.step(self.now_s, Snapshot(functions=(function,)))
        self.replicas = self.plan.desired["f", ""]
        return self.replicas

    def run(self, for_s: float, ongoing: int = 0, waiting: int = 0) -> list[int]:
        return [self.tick(ongoing, waiting) for _ in range(round(for_s / TICK_S))]

    def call(self, for_s: float, rate: float, slack_s: float = 0.2) -> list[int]:
        """Runs under so many evenly spaced calls a second of a tenth of a second each."""
        levels = []
        due_s = self.now_s
        for _ in range(round(for_s / TICK_S)):
            demand = Demand()
            while due_s < self.now_s + TICK_S:
                demand.want(due_s, WORK_S, slack_s)
                due_s += 1.0 / rate
                self.calls += 1
            levels.append(self.tick(demand=demand))
        return levels


# As soon as it is known how long calls run.


def test_replicas_follow_the_work_that_comes_in() -> None:
    """Thirty calls a second of a tenth of a second are work for three, and a little more."""
    box = Box(Scale(min=1, max=8))
    levels = box.call(5.0, rate=30.0)
    assert levels == sorted(levels)
    assert levels[-1] == 4


def test_it_does_not_matter_how_many_calls_are_under_way() -> None:
    """A queue that is long says nothing that the demand does not say better."""
    box = Box(Scale(min=1, max=8))
    box.call(1.0, rate=5.0)
    assert set(box.run(2.0, ongoing=64)) == {1}


def test_runs_that_overlap_share_a_replica() -> None:
    """An asynchronous function needs one replica for what else would need four."""
    box = Box(Scale(min=1, max=8))
    box.lanes = 64
    assert box.call(5.0, rate=30.0)[-1] == 1


def test_more_than_the_bounds_is_left_to_the_next_tier() -> None:
    """And while replicas start, what they cannot take over yet."""
    box = Box(Scale(min=1, max=2))
    assert box.call(5.0, rate=50.0)[-1] == 2
    assert box.plan.reserve["f"] == pytest.approx(3.1, abs=0.5)


def test_capacity_is_held_for_a_minute_and_given_up_in_steps() -> None:
    """A quarter a second at most, down to the one that is kept for the next call."""
    box = Box(Scale(min=0, max=16, idle_s=300.0))
    top = box.call(10.0, rate=80.0)[-1]
    assert top >= 8
    levels = box.call(59.0, rate=1.0)
    assert set(levels) == {top}
    falling = box.call(30.0, rate=1.0)
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == 1
    assert all(a - b <= max(1, a // 4) for a, b in zip(falling, falling[1:], strict=False))


def test_growth_is_no_faster_than_twofold_at_each_look() -> None:
    """A wrong estimate does not start a hundred processes at once."""
    box = Box(Scale(min=1, max=64))
    levels = [1, *box.call(5.0, rate=500.0)]
    assert levels[-1] >= 50
    assert all(b <= 2 * a for a, b in zip(levels, levels[1:], strict=False))


def test_a_deadline_that_a_start_does_not_fit_keeps_a_replica() -> None:
    """For an hour after such a call was seen; with a start that fits there is none."""
    tight, loose = (Box(Scale(min=0, max=4, idle_s=1.0), boot_s=boot_s) for boot_s in (0.3, 0.03))
    for box in (tight, loose):
        box.call(2.0, rate=5.0, slack_s=0.2)
    assert set(tight.run(30.0)[-5:]) == {1}
    assert set(loose.run(30.0)[-5:]) == {0}
    assert [tight.tick(after_s=1800.0), tight.tick(after_s=1900.0)] == [1, 0]


def test_a_timer_finds_its_replica_ready() -> None:
    """Called every ten minutes it rests in between, and is there again before the next call."""
    box = Box(Scale(min=0, max=1, idle_s=300.0), boot_s=0.03)
    for _ in range(12):
        box.call(0.2, rate=10.0, slack_s=5.0)
        levels = [box.tick(after_s=10.0) for _ in range(60)]
    assert levels[10:30] == [0] * 20
    assert levels[-1] == 1


# As long as it is not known.


def test_a_fresh_function_has_its_minimum() -> None:
    """Nobody calls: there are as many replicas as declared, at once."""
    assert Box(Scale(min=2, max=4)).tick() == 2


def test_a_function_may_rest_at_zero() -> None:
    """With a minimum of 0 and no call there is no replica."""
    assert Box(Scale(min=0, max=4)).run(5.0) == [0] * 50


def test_a_waiting_call_starts_one_at_once() -> None:
    """The first decision after a call began to wait has a replica."""
    box = Box(Scale(min=0, max=4))
    box.run(1.0)
    assert box.tick(waiting=1) == 1


def test_the_level_survives_a_death() -> None:
    """What is desired does not sink because there are fewer replicas for a moment."""
    box = Box(Scale(min=0, max=4), replicas=3)
    box.tick(ongoing=6)
    box.replicas = 2
    assert box.tick(ongoing=6) == 3


def test_a_burst_does_not_scale_up_but_a_load_does() -> None:
    """Calls must stay too many for more than half a second."""
    box = Box(Scale(min=1, max=4))
    box.run(1.0)
    assert box.run(0.4, ongoing=8) == [1] * 4
    assert box.run(1.0) == [1] * 10
    assert box.run(1.0, ongoing=8)[-1] == 4


def test_up_goes_only_as_far_as_was_needed_all_the_time() -> None:
    """The lowest need within the window counts, not its peak."""
    box = Box(Scale(min=1, max=8))
    box.run(1.0, ongoing=1)
    levels = [box.tick(ongoing) for ongoing in (4, 16, 4, 16, 4, 16, 4, 16, 4, 16)]
    assert max(levels) == 2


def test_idle_replicas_go_one_by_one_after_idle_s() -> None:
    """From four to the minimum: nothing before `idle_s`, then one a second."""
    box = Box(Scale(min=1, max=4, idle_s=10.0), replicas=4)
    box.run(1.0, ongoing=8)
    assert set(box.run(9.5)) == {4}
    assert box.run(1.0)[-1] == 3
    assert box.run(1.0)[-1] == 2
    assert set(box.run(5.0)[10:]) == {1}


def test_what_was_just_seen_first_is_not_idle_yet() -> None:
    """A function that is new to the scaler keeps its replicas for `idle_s`."""
    box = Box(Scale(min=0, max=4, idle_s=10.0), replicas=3)
    assert set(box.run(9.5)) == {3}
    assert set(box.run(10.0)[-5:]) == {0}


def test_rare_calls_keep_one_replica() -> None:
    """Calls that are too short to be seen under way count all the same."""
    box = Box(Scale(min=0, max=4, idle_s=10.0), replicas=1)
    for _ in range(9):
        box.calls += 1
        assert set(box.run(5.0)) == {1}
    assert box.run(12.0)[-1] == 0


def test_a_replica_is_kept_while_the_others_would_be_nearly_full() -> None:
    """Two replicas that are two thirds full are not made into one, however long it lasts."""
    box = Box(Scale(min=1, max=4, idle_s=1.0), per_replica=6, replicas=2)
    assert set(box.run(60.0, ongoing=8)) == {2}


def test_a_removed_function_is_forgotten() -> None:
    """The same name, deployed again, starts afresh."""
    box = Box(Scale(min=0, max=4), replicas=3)
    box.tick(ongoing=6)
    assert box.scaler.step(box.now_s, Snapshot(functions=())).desired == {}
    box.replicas = 0
    assert box.tick() == 0


@pytest.mark.parametrize(
    ("spec", "calls", "lanes"),
    [
        (FunctionSpec(name="one"), 2, 1),
        (FunctionSpec(name="batched", batch=16), 32, 1),
        (FunctionSpec(name="overlapping", is_async=True), 64, 64),
    ],
)
def test_full_is_one_batch_that_runs_and_one_that_forms(
    spec: FunctionSpec, calls: int, lanes: int
) -> None:
    """How many calls fit follows from how the function runs them."""
    assert (full_at(spec), lanes_of(spec)) == (calls, lanes)


# Whatever is known.

scales = st.builds(
    lambda low, extra, idle_s: Scale(min=low, max=max(low + extra, 1), idle_s=idle_s),
    st.integers(0, 4),
    st.integers(0, 6),
    st.floats(0.0, 30.0),
)
observed = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 3), st.floats(0.0, 20.0), st.floats(0.0, 1.0)),
    max_size=25,
)


def levels_of(box: Box, loads: list[tuple[int, int, float, float]]) -> list[int]:
    """Runs through loads of calls under way, waiting ones, time since the last, and work."""
    levels = []
    for ongoing, waiting, after_s, work_s in loads:
        demand = Demand()
        demand.want(box.now_s, work_s, 0.3 if ongoing % 2 else math.inf)
        levels.append(box.tick(ongoing, waiting, after_s, demand))
    return levels


@settings(max_examples=25)
@given(scales, observed, st.integers(1, 8), st.integers(0, 12))
def test_never_beyond_the_bounds(
    scale: Scale, loads: list[tuple[int, int, float, float]], per_replica: int, replicas: int
) -> None:
    """Whatever happens: at least `min`, at least 1 for a waiting call, at most `max`."""
    box = Box(scale, per_replica=per_replica, replicas=replicas)
    for level, (_, waiting, _, _) in zip(levels_of(box, loads), loads, strict=True):
        assert scale.min <= level <= scale.max
        assert level or not waiting


@settings(max_examples=25)
@given(scales, st.integers(0, 100), st.integers(1, 8), st.integers(0, 12))
def test_a_constant_load_never_flaps(
    scale: Scale, ongoing: int, per_replica: int, replicas: int
) -> None:
    """Under the same load the level only rises, or only falls."""
    box = Box(scale, per_replica=per_replica, replicas=replicas)
    levels = [box.tick(ongoing, after_s=0.5) for _ in range(80)]
    assert levels in (sorted(levels), sorted(levels, reverse=True))
    assert levels[-1] >= min(scale.max, -(-ongoing // per_replica))


@settings(max_examples=25)
@given(scales, observed)
def test_the_same_loads_give_the_same_levels(
    scale: Scale, loads: list[tuple[int, int, float, float]]
) -> None:
    """Decisions depend on nothing but what is handed in."""
    assert levels_of(Box(scale), loads) == levels_of(Box(scale), loads)


# Several variants, and several functions.


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


def test_when_memory_is_short_the_least_worthy_go() -> None:
    """Of two that nobody calls now, the one that was called longer ago; the minimum stays."""
    scaler = Scaler()

    def step(now_s: float, memory_bytes: int, *calls: int) -> list[int]:
        functions = tuple(
            FunctionLoad(
                name=name,
                scale=Scale(min=int(name == "c"), max=4),
                variants=(VariantLoad(replicas=1, calls=count, boot_s=1.0, memory_bytes=10),),
            )
            for name, count in zip("abc", calls, strict=True)
        )
        plan = scaler.step(now_s, Snapshot(functions=functions, memory_bytes=memory_bytes))
        return [plan.desired[name, ""] for name in "abc"]

    assert step(0.0, 30, 0, 0, 0) == [1, 1, 1]
    assert step(50.0, 30, 1, 0, 0) == [1, 1, 1]
    assert step(60.0, 20, 1, 0, 0) == [1, 0, 1]
    assert step(61.0, 30, 1, 0, 0) == [1, 0, 1], "what made room does not come back uncalled"
    assert step(62.0, 5, 1, 0, 0) == [0, 0, 1]


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
