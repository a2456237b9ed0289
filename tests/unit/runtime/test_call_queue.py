"""The queue of a replica: order, batches, drops."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgefn_runtime.errors import QueueFull
from edgefn_runtime.queue import NO_DEADLINE, PROBE_MAX_S, CallQueue


def queue(limit=1000, max_batch=1, lanes=1, fixed_s=0.0, each_s=0.0):
    """Returns a queue that has learned these service times, at instant 0."""
    made = CallQueue(limit=limit, max_batch=max_batch, lanes=lanes)
    if fixed_s or each_s:
        for size in (1, 1, 2, 4, 8) * 20:
            made.observe(size, started_s=0.0, ended_s=fixed_s + each_s * size)
        made.observe(1, started_s=-fixed_s - each_s, ended_s=0.0)
    return made


def items(waiting):
    return [each.item for each in waiting]


def test_earliest_deadline_first_then_arrival():
    """Calls with a deadline come by it, those without by arrival behind them."""
    calls = queue()
    for name, deadline_s in [("d", NO_DEADLINE), ("c", 9.0), ("e", NO_DEADLINE), ("a", 1.0)]:
        calls.push(name, deadline_s=deadline_s, now_s=0.0)
    calls.push("b", deadline_s=1.0, now_s=0.0)
    assert [calls.take(0.0).run[0].item for _ in range(5)] == ["a", "b", "c", "d", "e"]
    assert calls.take(0.0).run == []


def test_refuses_beyond_the_limit():
    """A full queue refuses, and takes again once a call has left, by whichever way."""
    calls = queue(limit=2)
    first = calls.push("a", deadline_s=1.0, now_s=0.0)
    calls.push("b", deadline_s=2.0, now_s=0.0)
    with pytest.raises(QueueFull, match="2 waiting calls"):
        calls.push("c", deadline_s=3.0, now_s=0.0)
    assert calls.cancel(first)
    calls.push("c", deadline_s=3.0, now_s=0.0)
    calls.take(0.0)
    calls.push("d", deadline_s=4.0, now_s=0.0)
    assert len(calls) == 2


def test_a_cancelled_call_never_runs():
    """A cancelled call does not come out, does not count, and cannot be cancelled again."""
    calls = queue(max_batch=8)
    kept, gone = (calls.push(name, deadline_s=1.0, now_s=0.0) for name in "ab")
    assert calls.cancel(gone)
    assert not calls.cancel(gone)
    assert items(calls.take(0.0).run) == ["a"]
    assert not calls.cancel(kept)


def test_cancelled_calls_do_not_pile_up():
    """However many calls are pushed and cancelled, little is kept of them."""
    calls = queue(limit=10)
    for _ in range(1000):
        calls.cancel(calls.push("x" * 1000, deadline_s=NO_DEADLINE, now_s=0.0))
    assert len(calls) == 0
    assert len(calls._heap) <= 20


def test_drops_what_cannot_finish():
    """A call whose turn comes too late is handed back unrun, and the next is looked at."""
    calls = queue(each_s=0.1)
    calls.push("passed", deadline_s=-1.0, now_s=0.0)
    calls.push("too late", deadline_s=0.05, now_s=0.0)
    calls.push("in time", deadline_s=0.2, now_s=0.0)
    batch = calls.take(0.0)
    assert items(batch.dropped) == ["passed", "too late"]
    assert items(batch.run) == ["in time"]


def test_a_batch_is_what_waits():
    """Without deadlines a batch is everything there is, up to its limit, and never waits."""
    calls = queue(max_batch=4)
    for name in "abcdef":
        calls.push(name, deadline_s=NO_DEADLINE, now_s=0.0)
    assert items(calls.take(0.0).run) == list("abcd")
    assert items(calls.take(0.0).run) == list("ef")


def test_a_batch_grows_within_its_heads_slack():
    """The head's deadline bounds the batch, though its neighbours would have time."""
    calls = queue(max_batch=8, fixed_s=0.010, each_s=0.010)
    calls.push("head", deadline_s=0.0401, now_s=0.0)
    for number in range(7):
        calls.push(number, deadline_s=9.0, now_s=0.0)
    assert len(calls.take(0.0).run) == 3


def test_backlog_counts_full_batches_and_lanes():
    """The backlog is what full batches and a rest take, shared by all lanes."""
    calls = queue(max_batch=4, lanes=2, fixed_s=0.1, each_s=0.1)
    for number in range(6):
        calls.push(number, deadline_s=NO_DEADLINE, now_s=0.0)
    assert calls.backlog_s() == pytest.approx((0.5 + 0.3) / 2, rel=0.01)


def test_a_wrong_estimate_does_not_drop_everything_for_ever():
    """After a bad spell the queue probes, learns that runs are quick again, and drops no more."""
    calls = queue(each_s=5.0)
    dropped, ran = 0, 0
    for tick in range(1, 1001):
        now_s = tick * 0.01
        calls.push("call", deadline_s=now_s + 0.02, now_s=now_s)
        batch = calls.take(now_s)
        dropped += len(batch.dropped)
        if batch.run:
            ran += 1
            calls.observe(1, started_s=now_s, ended_s=now_s + 0.001)
    assert dropped * 0.01 <= 3 * PROBE_MAX_S
    assert ran + dropped == 1000


def test_a_slow_first_run_drops_nothing():
    """The lazy set-up that the first run of a process pays is not taken for its speed."""
    calls = queue()
    calls.push("first", deadline_s=NO_DEADLINE, now_s=0.0)
    calls.take(0.0)
    calls.observe(1, started_s=0.0, ended_s=2.0)
    calls.push("second", deadline_s=2.05, now_s=2.0)
    assert items(calls.take(2.0).run) == ["second"]


def test_hopeless_calls_cost_little():
    """If no call can be in time, probes take a bounded part of the replica's time."""
    calls = queue(each_s=0.2)
    now_s, ran = 0.0, 0
    while now_s < 60.0:
        calls.push("call", deadline_s=now_s + 0.1, now_s=now_s)
        if calls.take(now_s).run:
            ran += 1
            calls.observe(1, started_s=now_s, ended_s=now_s + 0.2)
            now_s += 0.2
        now_s += 0.01
    assert ran * 0.2 <= 0.55 * 60.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1.0, 3.0) | st.just(math.inf), max_size=60),
    st.floats(0.001, 0.5),
    st.floats(0.0, 0.5),
    st.integers(1, 16),
)
def test_drops_only_what_would_have_been_late(deadlines, each_s, fixed_s, max_batch):
    """If service times are as learned, no dropped call could have been in time, and no call that
    runs is late, when its turn comes; and each comes out exactly once."""
    calls = queue(max_batch=max_batch, fixed_s=fixed_s, each_s=each_s)
    for number, deadline_s in enumerate(deadlines):
        calls.push(number, deadline_s=deadline_s, now_s=0.0)
    now_s, seen = 0.0, []
    while calls:
        batch = calls.take(now_s)
        took_s = calls._service.predict(len(batch.run))
        alone_s = calls._service.predict(1)
        assert len(batch.run) <= max_batch
        assert all(call.deadline_s < now_s + alone_s for call in batch.dropped)
        assert all(call.deadline_s >= now_s + took_s - 1e-9 for call in batch.run)
        assert [c.deadline_s for c in batch.run] == sorted(c.deadline_s for c in batch.run)
        seen += items(batch.dropped) + items(batch.run)
        if batch.run:
            calls.observe(len(batch.run), started_s=now_s, ended_s=now_s + took_s)
        now_s += took_s
    assert sorted(seen) == list(range(len(deadlines)))


class AnyOrder(RuleBasedStateMachine):
    """Whatever is pushed, cancelled and taken in whatever order: nothing is lost or doubled."""

    def __init__(self):
        super().__init__()
        self.calls = CallQueue(limit=20, max_batch=5)
        self.waiting = {}
        self.pushed = 0
        self.now_s = 0.0

    @rule(budget_s=st.floats(0.0, 1.0) | st.just(math.inf))
    def push(self, budget_s):
        deadline_s = self.now_s + budget_s
        if len(self.waiting) == 20:
            with pytest.raises(QueueFull):
                self.calls.push(-1, deadline_s=deadline_s, now_s=self.now_s)
            return
        self.pushed += 1
        self.waiting[self.pushed] = self.calls.push(
            self.pushed, deadline_s=deadline_s, now_s=self.now_s
        )

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data):
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.calls.cancel(self.waiting.pop(number))

    @rule(passes_s=st.floats(0.0, 0.5), takes_s=st.floats(0.0, 0.5))
    def take(self, passes_s, takes_s):
        self.now_s += passes_s
        batch = self.calls.take(self.now_s)
        for call in (*batch.dropped, *batch.run):
            assert self.waiting.pop(call.item) is call
        earliest_s = min((call.deadline_s for call in self.waiting.values()), default=math.inf)
        assert all(call.deadline_s <= earliest_s for call in (*batch.dropped, *batch.run))
        assert batch.run or not self.waiting
        if batch.run:
            ended_s = self.now_s + takes_s
            self.calls.observe(len(batch.run), started_s=self.now_s, ended_s=ended_s)
            self.now_s = ended_s

    @invariant()
    def counts(self):
        assert len(self.calls) == len(self.waiting)
        assert self.calls.backlog_s() >= 0.0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
