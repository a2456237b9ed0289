"""What is to happen, in order of virtual time; what is at the same time, as it was put down."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Action = Callable[[float, Any], object]  # of the virtual time, and of what was put down with it


class Agenda:
    """A heap of actions.

    Attributes:
        events: How many were put down so far.
    """

    __slots__ = ("_heap", "events")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action, Any]] = []
        self.events = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, at_s: float, action: Action, subject: Any) -> None:
        """Puts an action down; `at_s` is not in the past."""
        self.events = number = self.events + 1
        heappush(self._heap, (at_s, number, action, subject))

    def run_until(self, until_s: float) -> None:
        """Does all that is due by then, `until_s` included."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            now_s, _, action, subject = heappop(heap)
            action(now_s, subject)

    def run_next(self) -> None:
        """Does what comes next."""
        now_s, _, action, subject = heappop(self._heap)
        action(now_s, subject)
