"""The calls that wait in a replica: earliest deadline first, dropped before they run in vain.

Earliest deadline first is optimal for one server as long as all can be answered in time (Liu and
Layland, 1973), and the worst order when they cannot: it spends itself on calls that are just too
late. So a call that is not expected to finish is dropped when its turn comes, before it costs
anything. A batch is formed by arrival: it takes what is there, never waits for more, and grows only
as far as its head, whose deadline is the earliest, can afford.

An expectation can be wrong, and one that drops every call would never be corrected. So when nothing
has run for as long as a call is said to take (within `PROBE_MIN_S` and `PROBE_MAX_S`), the next
call whose deadline has not passed is run against the expectation, alone.
"""

import heapq
import math
from typing import Final, Generic, TypeVar

from edgefn_runtime.errors import QueueFull
from edgefn_runtime.service_time import ServiceTime

PROBE_MIN_S: Final = 0.05
PROBE_MAX_S: Final = 1.0
NO_DEADLINE: Final = math.inf

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """One call in the queue. Instants are seconds of the process's monotonic clock."""

    __slots__ = ("arrived_s", "deadline_s", "item", "waits")
    __deletable__ = ("item",)  # mypyc, where this is compiled, wants to know

    def __init__(self, item: Item, deadline_s: float, arrived_s: float) -> None:
        self.item = item
        self.deadline_s = deadline_s
        self.arrived_s = arrived_s
        self.waits = True


class Batch(Generic[Item]):
    """What is to be done next.

    Attributes:
        run: Calls to run together; none if the queue is empty.
        dropped: Calls to refuse, because they could not be answered in time.
    """

    __slots__ = ("dropped", "run")

    def __init__(self) -> None:
        self.run: list[Waiting[Item]] = []
        self.dropped: list[Waiting[Item]] = []


class CallQueue(Generic[Item]):
    """The queue of one replica.

    Args:
        limit: Calls that may wait.
        max_batch: Most calls that may run together.
        lanes: Batches that may run at the same time.
    """

    __slots__ = (
        "_arrivals",
        "_heap",
        "_lanes",
        "_length",
        "_limit",
        "_max_batch",
        "_ran_s",
        "_service",
    )

    def __init__(self, *, limit: int, max_batch: int = 1, lanes: int = 1) -> None:
        self._limit = limit
        self._max_batch = max_batch
        self._lanes = lanes
        self._service = ServiceTime()
        self._heap: list[tuple[float, int, Waiting[Item]]] = []
        self._arrivals = 0
        self._length = 0
        self._ran_s = -math.inf

    def __len__(self) -> int:
        """Returns how many calls wait."""
        return self._length

    def push(self, item: Item, *, deadline_s: float, now_s: float) -> Waiting[Item]:
        """Lets a call wait; `NO_DEADLINE` puts it behind all that have one, in order of arrival.

        Raises:
            QueueFull: As many calls wait as may.
        """
        if self._length >= self._limit:
            raise QueueFull(
                f"the replica holds {self._length} waiting calls, as many as it may; "
                "try again later",
                queued=self._length,
            )
        if len(self._heap) >= 2 * self._limit:
            self._forget_cancelled()
        waiting = Waiting(item, deadline_s, now_s)
        heapq.heappush(self._heap, (deadline_s, self._arrivals, waiting))
        self._arrivals += 1
        self._length += 1
        return waiting

    def cancel(self, waiting: Waiting[Item]) -> bool:
        """Takes a call out; returns whether it still waited."""
        if not waiting.waits:
            return False
        waiting.waits = False
        del waiting.item  # frees the body now; its place in the heap is freed when it comes up
        self._length -= 1
        return True

    def take(self, now_s: float) -> Batch[Item]:
        """Returns the calls to run now, and those to refuse."""
        batch: Batch[Item] = Batch()
        heap, run = self._heap, batch.run
        size = 0
        while heap and (not size or len(run) < size):
            waiting = heapq.heappop(heap)[2]
            if waiting.waits:
                if not size:
                    size = self._batch_for(waiting, now_s)
                waiting.waits = False
                self._length -= 1
                (run if size else batch.dropped).append(waiting)
        if run:
            self._ran_s = now_s
        return batch

    def observe(self, batch: int, *, started_s: float, ended_s: float) -> None:
        """Learns how long a batch took."""
        self._ran_s = ended_s
        self._service.observe(batch, ended_s - started_s)

    def urgency_s(self) -> float:
        """Returns the deadline of the most urgent call that waits; `NO_DEADLINE` if there is none.

        Whoever has several queues and one device takes from the one with the lowest.
        """
        heap = self._heap
        while heap and not heap[0][2].waits:
            heapq.heappop(heap)
        return heap[0][0] if heap else NO_DEADLINE

    def backlog_s(self) -> float:
        """Returns how long all that waits is expected to take, in full batches."""
        length, service, max_batch = self._length, self._service, self._max_batch
        if not length:
            return 0.0
        full = length // max_batch
        work_s = full * service.predict(max_batch)
        rest = length - full * max_batch
        if rest:
            work_s += service.predict(rest)
        return work_s / self._lanes

    def _batch_for(self, head: Waiting[Item], now_s: float) -> int:
        """Returns how many calls may run with this one first; 0 if it would be late itself."""
        slack_s = head.deadline_s - now_s
        service, max_batch = self._service, self._max_batch
        if slack_s > 0.0 and service.predict(max_batch) <= slack_s:
            return max_batch
        fitting = service.fitting(slack_s)
        if fitting:
            return min(fitting, max_batch)
        return 1 if head.deadline_s > now_s and self._may_probe(now_s) else 0

    def _may_probe(self, now_s: float) -> bool:
        expected_s = self._service.predict(1)
        return now_s - self._ran_s >= min(max(expected_s, PROBE_MIN_S), PROBE_MAX_S)

    def _forget_cancelled(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].waits]
        heapq.heapify(self._heap)
