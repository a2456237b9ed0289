"""The scaler against a fake clock."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.demand import Demand
from edgefn.scaling.pool import HOLD_S
from edgefn.scaling.scaler import Scaler
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
        self.saves_energy = False
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
            saves_energy=self.saves_energy,
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


def test_capacity_is_held_for_a_while_and_given_up_in_steps() -> None:
    """A quarter a second at most, down to the one that is kept for the next call."""
    box = Box(Scale(min=0, max=16, idle_s=300.0))
    top = box.call(10.0, rate=80.0)[-1]
    assert top >= 8
    levels = box.call(HOLD_S - 1.0, rate=1.0)
    assert set(levels) == {top}
    falling = box.call(90.0, rate=1.0)
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


@pytest.mark.parametrize("jump_s", [3600.0, 1e7, 1e12])
def test_a_process_that_was_stopped_goes_on(jump_s: float) -> None:
    """Hours or ages later, with calls before and after in one report."""
    box = Box(Scale(min=1, max=8))
    box.call(5.0, rate=30.0)
    demand = Demand()
    demand.want(box.now_s, WORK_S, 0.2)
    demand.want(box.now_s + jump_s, WORK_S, 0.2)
    assert 1 <= box.tick(after_s=jump_s, demand=demand) <= 8
    assert box.call(60.0, rate=5.0)[-1] <= 2


def test_callers_without_deadlines_do_not_get_a_replica_each() -> None:
    """Sixteen that wait for each answer would keep sixteen replicas full."""
    box = Box(Scale(min=1, max=64))
    free_s, due_s = [box.now_s], [box.now_s] * 16
    for _ in range(1200):
        demand, end_s = Demand(), box.now_s + TICK_S
        for at_s in sorted(one for one in due_s if one < end_s):
            demand.want(at_s, WORK_S, math.inf)
            due_s.remove(at_s)
            first = min(free_s)
            free_s.remove(first)
            free_s.append(max(at_s, first) + WORK_S)
            due_s.append(free_s[-1])
            box.calls += 1
        level = box.tick(ongoing=16, demand=demand)
        free_s = sorted([*free_s, *[box.now_s] * (level - len(free_s))])[-level:]
    assert level <= 3


def test_callers_without_deadlines_wait_for_some_seconds_at_most() -> None:
    """What comes faster than it can be answered is not left to pile up."""
    box = Box(Scale(min=1, max=8))
    box.call(1.0, rate=5.0, slack_s=math.inf)
    levels = [box.call(TICK_S, rate=10.0, slack_s=math.inf)[-1] for _ in range(20)]
    assert levels[-1] == 1
    demand = Demand()
    demand.want(box.now_s, WORK_S, math.inf)
    assert box.tick(ongoing=60, after_s=0.3, demand=demand) == 2
    assert box.call(30.0, rate=30.0, slack_s=math.inf)[-1] >= 3


def test_where_energy_counts_what_saves_less_than_it_takes_is_not_started() -> None:
    """Neither here nor by the next tier."""
    burst = [(0.001 * call, 0.1) for call in range(6)]

    def settled(*, saves_energy: bool) -> tuple[int, int]:
        box = Box(Scale(min=0, max=8, idle_s=60.0), boot_s=0.05)
        box.saves_energy = saves_energy
        for _ in range(10):  # six calls at once, every fifteen seconds
            demand = Demand()
            for after_s, work_s in burst:
                demand.want(box.now_s + after_s, work_s, 0.1)
            box.calls += len(burst)
            box.tick(demand=demand)
            for _ in range(30):
                box.tick(after_s=0.5)
        return box.replicas, box.plan.reserve["f"]

    assert settled(saves_energy=False) == (4, 0)
    assert settled(saves_energy=True) == (1, 0)


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
    levels = box.run(5.0)
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {4, 3, 2, 1}


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
