"""One timer for all calls."""

import asyncio
import time

import pytest

from edgefn.gateway.call import PendingCall
from edgefn.gateway.give_ups import TICK_S, GiveUps


class Given:
    """Notes which calls are given up, and how late."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.late_s: list[float] = []
        self.all_came = asyncio.Event()
        self.wanted = 0
        self.watch = GiveUps(self.give_up)

    def give_up(self, call: PendingCall) -> None:
        self.calls.append(call.function)
        self.late_s.append(time.monotonic() - call.give_up_s)
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
        give_up_s=time.monotonic() + delay_s,
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


async def test_calls_are_given_up_in_order_and_never_early(given):
    """Whatever the order in which they come, calls end when their time is up."""
    for name, delay_s in (("c", 0.05), ("a", 0.01), ("d", 0.05 + TICK_S / 4), ("b", 0.03)):
        given.watch.watch(call_in(name, delay_s))
    await given.come(4)
    assert given.calls[:2] == ["a", "b"]
    assert set(given.calls[2:]) == {"c", "d"}
    assert min(given.late_s) >= 0.0


async def test_answered_calls_are_left_alone(given):
    """A call that is unwatched is not given up; the one beside it is."""
    first, second = call_in("first", 0.02), call_in("second", 0.02)
    alone = call_in("alone", 0.005)
    for call in (first, second, alone):
        given.watch.watch(call)
    given.watch.unwatch(first)
    given.watch.unwatch(alone)
    await given.come(1)
    assert given.calls == ["second"]
    given.watch.unwatch(second)  # it is gone already


async def test_a_call_whose_time_is_up_when_it_comes(given):
    """It is given up at once."""
    given.watch.watch(call_in("late", -1.0))
    await given.come(1)
    assert given.calls == ["late"]
