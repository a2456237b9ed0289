"""What alerts saw goes to the box in bunches, and never without bound."""

import asyncio
from typing import Any

import pytest

from edgefn.gateway.control import Marked, MarkedAnswer
from edgefn.gateway.marking import MAX_HELD, MAX_TOLD, Marking


class FakeBox:
    """Takes messages; says that it cannot when a test says so."""

    def __init__(self) -> None:
        self.full = False
        self.told: list[Marked] = []

    def congested(self) -> bool:
        return self.full

    def tell(self, message: Any) -> None:
        self.told.append(message)


async def test_answers_of_a_moment_go_in_one_message() -> None:
    """In their order; none goes when there is none."""
    box = FakeBox()
    marking = Marking(box)  # type: ignore[arg-type]
    marking.note("f", "a", b"1")
    marking.note("f", "b", b"2")
    while not box.told:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert box.told == [Marked((MarkedAnswer("f", "a", b"1"), MarkedAnswer("f", "b", b"2")))]
    marking.flush()
    assert len(box.told) == 1


async def test_a_box_that_does_not_read_is_not_told_more_and_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is beyond the bound is lost, and that is logged once."""
    box = FakeBox()
    box.full = True
    marking = Marking(box)  # type: ignore[arg-type]
    for number in range(MAX_HELD + 100):
        marking.note("f", "", b"%d" % number)
    await asyncio.sleep(0.05)
    assert (box.told, len(caplog.records)) == ([], 1)
    box.full = False
    while not box.told:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert sum(len(message.answers) for message in box.told) == MAX_HELD
    assert max(len(message.answers) for message in box.told) == MAX_TOLD
