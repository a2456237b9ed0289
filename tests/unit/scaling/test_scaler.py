"""The scaler against a fake clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.scaling.scaler import FunctionLoad, Scaler, full_at
from edgefn_runtime.manifest import FunctionSpec, Scale

TICK_S = 0.1


class Box:
    """A scaler, a clock, and a function whose load a test sets."""

    def __init__(self, scale: Scale, *, per_replica: int = 2, replicas: int = 0) -> None:
        self.scaler = Scaler()
        self.now_s = 100.0
        self.scale = scale
        self.per_replica = per_replica
        self.replicas = replicas
        self.calls = 0

    def tick(self, ongoing: int = 0, waiting: int = 0, after_s: float = TICK_S) -> int:
        self.now_s += after_s
        load = FunctionLoad(
            name="f",
            scale=self.scale,
            calls_per_replica=self.per_replica,
            replicas=self.replicas,
            ongoing=ongoing,
            waiting=waiting,
            calls=self.calls,
        )
        self.replicas = self.scaler.desired(self.now_s, [load])["f", ""]
        return self.replicas

    def run(self, for_s: float, ongoing: int = 0, waiting: int = 0) -> list[int]:
        return [self.tick(ongoing, waiting) for _ in range(round(for_s / TICK_S))]


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
    for _ in range(10):
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
    assert box.scaler.desired(box.now_s, []) == {}
    box.replicas = 0
    assert box.tick() == 0


@pytest.mark.parametrize(
    ("spec", "calls"),
    [
        (FunctionSpec(name="one"), 2),
        (FunctionSpec(name="batched", batch=16), 32),
        (FunctionSpec(name="overlapping", is_async=True), 64),
    ],
)
def test_full_is_one_batch_that_runs_and_one_that_forms(spec: FunctionSpec, calls: int) -> None:
    """How many calls fit follows from how the function runs them."""
    assert full_at(spec) == calls


scales = st.builds(
    lambda low, extra, idle_s: Scale(min=low, max=max(low + extra, 1), idle_s=idle_s),
    st.integers(0, 4),
    st.integers(0, 6),
    st.floats(0.0, 30.0),
)
observed = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 3), st.floats(0.0, 20.0)), max_size=60
)


@given(scales, observed, st.integers(1, 8), st.integers(0, 12))
def test_never_beyond_the_bounds(
    scale: Scale, loads: list[tuple[int, int, float]], per_replica: int, replicas: int
) -> None:
    """Whatever happens: at least `min`, at least 1 for a waiting call, at most `max`."""
    box = Box(scale, per_replica=per_replica, replicas=replicas)
    for ongoing, waiting, after_s in loads:
        level = box.tick(ongoing, waiting, after_s)
        assert scale.min <= level <= scale.max
        assert level or not waiting


@given(scales, st.integers(0, 100), st.integers(1, 8), st.integers(0, 12))
def test_a_constant_load_never_flaps(
    scale: Scale, ongoing: int, per_replica: int, replicas: int
) -> None:
    """Under the same load the level only rises, or only falls."""
    box = Box(scale, per_replica=per_replica, replicas=replicas)
    levels = [box.tick(ongoing, after_s=0.5) for _ in range(100)]
    assert levels in (sorted(levels), sorted(levels, reverse=True))
    assert levels[-1] >= min(scale.max, -(-ongoing // per_replica))


@given(scales, observed)
def test_the_same_loads_give_the_same_levels(
    scale: Scale, loads: list[tuple[int, int, float]]
) -> None:
    """Decisions depend on nothing but what is handed in."""
    one, other = Box(scale), Box(scale)
    assert [one.tick(*load) for load in loads] == [other.tick(*load) for load in loads]


def test_variants_are_scaled_apart_and_bounded_together() -> None:
    """The minimum is the default one's; another one has a replica while it is called."""
    scaler, scale = Scaler(), Scale(min=2, max=3, idle_s=1.0)

    def desired(now_s: float, waiting: int, calls: int) -> dict[tuple[str, str], int]:
        shared = {"name": "f", "scale": scale, "calls_per_replica": 2, "replicas": 0}
        default = FunctionLoad(**shared, ongoing=20, waiting=0, calls=0)
        other = FunctionLoad(**shared, variant="b", ongoing=0, waiting=waiting, calls=calls)
        return scaler.desired(now_s, [default, other])

    assert desired(0.0, 0, 0) == {("f", ""): 2, ("f", "b"): 0}
    assert desired(1.0, 0, 0) == {("f", ""): 3, ("f", "b"): 0}
    assert desired(1.1, 1, 0) == {("f", ""): 2, ("f", "b"): 1}
    assert desired(1.2, 0, 1) == {("f", ""): 2, ("f", "b"): 1}
    assert desired(4.0, 0, 1) == {("f", ""): 3, ("f", "b"): 0}


def test_a_call_does_not_wait_for_a_variant_that_nobody_calls() -> None:
    """What is only kept warm makes room at once, and does not come back by itself."""
    scaler, scale = Scaler(), Scale(min=0, max=1, idle_s=300.0)

    def desired(now_s: float, calls: int, *waiting: int) -> tuple[int, int]:
        shared = {"name": "f", "scale": scale, "calls_per_replica": 2, "replicas": 0, "ongoing": 0}
        default = FunctionLoad(**shared, waiting=waiting[0], calls=calls)
        other = FunctionLoad(**shared, variant="b", waiting=waiting[1], calls=0)
        found = scaler.desired(now_s, [default, other])
        return found["f", ""], found["f", "b"]

    assert desired(0.0, 0, 1, 0) == (1, 0)
    assert desired(0.1, 1, 0, 1) == (1, 0), "the default variant is in use"
    assert desired(1.2, 1, 0, 1) == (0, 1)
    assert desired(9.0, 1, 0, 0) == (0, 1)
    assert desired(9.1, 1, 1, 0) == (1, 0)
    assert desired(99.0, 1, 0, 0) == (1, 0), "what made room does not come back uncalled"
