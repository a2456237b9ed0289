"""What is to happen, in order of virtual time; what is at the same time, as it was put down.

Two thirds of all events are trips between a gateway and its boxes. They all take the same time, so
that they end in the order in which they begin, and a plain queue beside the heap does for them.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Action = Callable[[float, Any], object]  # of the virtual time, and of what was put down with it
Entry = tuple[float, int, Action, Any]


class Agenda:
    """All that is to happen.

    Args:
        trip_s: How long a trip between a gateway and its boxes takes, one way.

    Attributes:
        events: How many were put down so far.
        trip_s: As above.
    """

    __slots__ = ("_heap", "_trips", "events", "trip_s")

    def __init__(self, trip_s: float = 0.0) -> None:
        self._heap: list[Entry] = []
        self._trips: deque[Entry] = deque()
        self.events = 0
        self.trip_s = trip_s

    def __len__(self) -> int:
        return len(self._heap) + len(self._trips)

    def at(self, at_s: float, action: Action, subject: Any) -> None:
        """Puts an action down; `at_s` is not in the past."""
        self.events = number = self.events + 1
        heappush(self._heap, (at_s, number, action, subject))

    def after_trip(self, now_s: float, action: Action, subject: Any) -> None:
        """Puts down what a trip that begins now leads to."""
        self.events = number = self.events + 1
        self._trips.append((now_s + self.trip_s, number, action, subject))

    def run_until(self, until_s: float) -> None:
        """Does all that is due by then, `until_s` included."""
        heap, trips = self._heap, self._trips
        while True:
            if trips and (not heap or trips[0] < heap[0]):
                if trips[0][0] > until_s:
                    return
                now_s, _, action, subject = trips.popleft()
            elif heap and heap[0][0] <= until_s:
                now_s, _, action, subject = heappop(heap)
            else:
                return
            action(now_s, subject)

    def run_next(self) -> None:
        """Does what comes next."""
        heap, trips = self._heap, self._trips
        of_trips = trips and (not heap or trips[0] < heap[0])
        now_s, _, action, subject = trips.popleft() if of_trips else heappop(heap)
        action(now_s, subject)
