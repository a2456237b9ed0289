"""A queue that knows no deadlines: in order of arrival, nothing is dropped, batches are full.

What replicas have in systems that were not made for deadlines; the counterpart of `CallQueue`.
"""

from collections import deque
from math import inf
from typing import Generic, TypeVar

from edgefn_runtime.queue import Batch, Waiting
from edgefn_runtime.service_time import ServiceTime

Item = TypeVar("Item")


class FifoQueue(Generic[Item]):
    """The queue of one replica.

    A batch takes all that is there, up to `max_batch`. (One that looked at the deadline of its
    first call, which nobody drops here, would shrink to a single call as soon as that is late.)

    Args:
        max_batch: Most calls that may run together.
    """

    def __init__(self, *, max_batch: int = 1) -> None:
        self._max_batch = max_batch
        self._service = ServiceTime()
        self._calls: deque[Waiting[Item]] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, item: Item, *, deadline_s: float, now_s: float) -> Waiting[Item]:
        """Lets a call wait, behind all others."""
        waiting = Waiting(item, deadline_s, now_s)
        self._calls.append(waiting)
        self._length += 1
        return waiting

    def cancel(self, waiting: Waiting[Item]) -> bool:
        """Takes a call out; returns whether it still waited."""
        if not waiting.waits:
            return False
        waiting.waits = False
        self._length -= 1
        return True

    def take(self, now_s: float) -> Batch[Item]:
        """Returns the calls to run now."""
        batch: Batch[Item] = Batch()
        while self._length and len(batch.run) < self._max_batch:
            waiting = self._calls.popleft()
            if waiting.waits:
                waiting.waits = False
                self._length -= 1
                batch.run.append(waiting)
        return batch

    def observe(self, batch: int, *, started_s: float, ended_s: float) -> None:
        """Learns how long a batch took."""
        self._service.observe(batch, ended_s - started_s)

    def urgency_s(self) -> float:
        """Returns when the first one came: among several queues that is the order, too."""
        calls = self._calls
        while calls and not calls[0].waits:
            calls.popleft()
        return calls[0].arrived_s if calls else inf

    def backlog_s(self) -> float:
        """Returns how long all that waits is expected to take, in full batches."""
        full, rest = divmod(self._length, self._max_batch)
        rest_s = self._service.predict(rest) if rest else 0.0
        return full * self._service.predict(self._max_batch) + rest_s
