"""One timer for all calls."""

import asyncio
import time

import pytest

from edgefn.gateway.alarms import TICK_S, Alarms
from edgefn.gateway.call import PendingCall


class Given:
    """Notes for which calls an alarm rings, and how late."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.late_s: list[float] = []
        self.all_came = asyncio.Event()
        self.wanted = 0
        self.watch = Alarms(self.ring)

    def ring(self, call: PendingCall) -> None:
        self.calls.append(call.function)
        self.late_s.append(time.monotonic() - call.alarm_s)
        if len(self.calls) == self.wanted:
            self.all_came.set()

    async def come(self, count: int) -> None:
        self.wanted = count
        async with asyncio.timeout(5):
            await self.all_came.wait()


def call_in(name: str, delay_s: float) -> PendingCall:
    return PendingCall(
        function=name,
        read_s=0.0,
        deadline_s=None,
        give_up_s=0.0,
        alarm_s=time.monotonic() + delay_s,
        timeout_s=1.0,
        content=1,
        accept=1,
        aux=0,
        head=b"",
        answered=asyncio.get_running_loop().create_future(),
    )


@pytest.fixture
async def given():
    made = Given()
    yield made
    made.watch.close()


async def test_alarms_ring_in_order_and_never_early(given):
    """Whatever the order in which they come, each call has its alarm when that is due."""
    for name, delay_s in (("c", 0.05), ("a", 0.01), ("d", 0.05 + TICK_S / 4), ("b", 0.03)):
        given.watch.watch(call_in(name, delay_s))
    await given.come(4)
    assert given.calls[:2] == ["a", "b"]
    assert set(given.calls[2:]) == {"c", "d"}
    assert min(given.late_s) >= 0.0


async def test_answered_calls_are_left_alone(given):
    """For a call that is unwatched no alarm rings; for the one beside it it does."""
    first, second = call_in("first", 0.02), call_in("second", 0.02)
    alone = call_in("alone", 0.005)
    for call in (first, second, alone):
        given.watch.watch(call)
    given.watch.unwatch(first)
    given.watch.unwatch(alone)
    await given.come(1)
    assert given.calls == ["second"]
    given.watch.unwatch(second)  # it is gone already


async def test_an_alarm_that_is_due_already(given):
    """It rings at once."""
    given.watch.watch(call_in("late", -1.0))
    await given.come(1)
    assert given.calls == ["late"]


async def test_an_alarm_can_be_moved(given):
    """A call that is watched again has one alarm, the new one."""
    moved, other = call_in("moved", 0.005), call_in("other", 0.02)
    given.watch.watch(moved)
    given.watch.watch(other)
    moved.alarm_s += 0.03
    given.watch.watch(moved)
    await given.come(2)
    assert given.calls == ["other", "moved"]
