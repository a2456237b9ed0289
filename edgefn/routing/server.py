"""How long a call waits at one server, and how fast that is.

The wait is that until `free_s`, when all that is known to be queued there will be done: each call
sent moves it on by its work, and each load report sets it anew, to the reported backlog and the
calls that were still under way when the report was written. (A router that counts reports alone
herds: all calls of one round trip go to the server that was idle when it last spoke.)

A server that has calls and should have answered them by now is slower than was thought; how late it
is counts as the wait. Its speed is a multiplier that jumps up to a bad sample and decays slowly, as
in Finagle's peak-EWMA: throttling and noisy neighbours come at once. Without news it returns to
what is usual there, because one slow run must not make the router avoid for ever what it would have
to send to in order to learn better.
"""

from collections import deque
from typing import Final

from edgefn.routing.decisions import Send

LATE_S: Final = 0.005
FRESH_SAMPLES: Final = 3
_FRESH_SLOWNESS: Final = 1.3  # of a server that has not shown yet what it does
_JUMP: Final = 1.6
_MAX_JUMP: Final = 4.0
_FADE_HALF_LIFE_S: Final = 2.0
_LEAST_SLOWNESS: Final = 0.02
_MAX_SLOWNESS: Final = 50.0
_MAX_SLOW_START: Final = 256


class Server:
    """What the calls of one or more endpoints queue for.

    Attributes:
        name: Unique.
        parallel: Calls that it runs at the same time.
        endpoints: How many are connected whose calls queue there.
        free_s: When it is expected to have done all that it has.
        outstanding: Calls that were sent and are not answered.
        own_s: Their work.
        slowness: Times that a run takes as long as on a server of speed 1.
        batch: Mean size of its batches.
        samples: Runs that it reported.
        trusted: Calls that it is trusted with at a time: twice as many after each run.
    """

    __slots__ = (
        "_flights",
        "_sampled_s",
        "_usual",
        "batch",
        "endpoints",
        "free_s",
        "name",
        "outstanding",
        "own_s",
        "parallel",
        "samples",
        "slowness",
        "trusted",
    )

    def __init__(self, name: str, now_s: float, parallel: int, max_batch: int) -> None:
        self.name = name
        self.parallel = parallel
        self.endpoints = 0
        self.free_s = now_s
        self.outstanding = 0
        self.own_s = 0.0
        self.slowness = _FRESH_SLOWNESS
        self.batch = 1.0 if max_batch == 1 else 2.0
        self.samples = 0
        self.trusted = 1
        self._usual = 1.0
        self._sampled_s = now_s
        self._flights: deque[Send] = deque(maxlen=512)

    def late_s(self, now_s: float) -> float:
        """Returns by how much it is late with what it has; less than `LATE_S` is nothing."""
        late_s = now_s - self.free_s
        return late_s if self.outstanding and late_s > LATE_S else 0.0

    def sent(self, now_s: float, send: Send) -> None:
        """Counts a call that was sent there."""
        work_s = send.work_s
        self.outstanding += 1
        self.own_s += work_s
        self.free_s = (self.free_s if self.free_s > now_s else now_s) + work_s / self.parallel
        self._flights.append(send)

    def resolved(self, work_s: float) -> None:
        """Counts a call that came back, or never will. Its `Send.ledger` is cleared before."""
        self.outstanding -= 1
        if self.outstanding:
            self.own_s -= work_s
        else:
            self.own_s = 0.0  # whatever the additions left of it
        flights = self._flights
        while flights and flights[0].ledger is None:
            flights.popleft()

    def given_up(self, now_s: float, send: Send, overdue_s: float) -> None:
        """Takes the work of a call back; an overdue one says that it is slower than it seemed."""
        if overdue_s > 0.0:
            self.free_s = max(self.free_s, now_s + overdue_s)
        elif self.free_s > now_s:
            self.free_s = max(now_s, self.free_s - send.work_s / self.parallel)

    def reported(self, now_s: float, backlog_s: float, net_s: float, *, here: bool) -> None:
        """Takes a load report that arrives now and was written `net_s / 2` ago."""
        written_s = now_s - net_s  # what was sent later had not arrived when it was written
        left_s = backlog_s
        flights = self._flights
        if flights and flights[-1].sent_s > written_s:
            left_s += self._sent_since(written_s) / self.parallel
        if here and self.own_s > left_s * self.parallel:
            left_s = self.own_s / self.parallel  # of what runs, the backlog says nothing
        self.free_s = written_s + left_s

    def _sent_since(self, since_s: float) -> float:
        """Returns the work of the calls that were sent after an instant and are not answered."""
        sent_s = 0.0
        for send in reversed(self._flights):
            if send.sent_s <= since_s:
                break
            if send.ledger is not None:
                sent_s += send.work_s
        return sent_s

    def ran(self, now_s: float, ratio: float, batch: int) -> None:
        """Takes a run that took `ratio` times as long as on a server of speed 1."""
        self._sampled_s = now_s
        self.batch += 0.1 * (batch - self.batch)
        if not _LEAST_SLOWNESS < ratio < _MAX_SLOWNESS:
            ratio = _LEAST_SLOWNESS if ratio < 1.0 else _MAX_SLOWNESS
        self._usual += 0.01 * (ratio - self._usual)
        self.samples += 1
        if self.trusted < _MAX_SLOW_START:
            self.trusted *= 2
        slowness = self.slowness
        if self.samples <= FRESH_SAMPLES or ratio < 0.5 * slowness:
            self.slowness = ratio if ratio < slowness else min(ratio, _MAX_JUMP * slowness)
        elif ratio > _JUMP * slowness:
            self.slowness = min(ratio, _MAX_JUMP * slowness)
        else:
            self.slowness = 0.9 * slowness + 0.1 * ratio

    def fade(self, now_s: float, since_s: float) -> None:
        """Lets the slowness return to the usual one, if there is no news of it."""
        if self.samples >= FRESH_SAMPLES and now_s - self._sampled_s > 0.5:
            kept = 0.5 ** ((now_s - since_s) / _FADE_HALF_LIFE_S)
            self.slowness = self._usual + (self.slowness - self._usual) * kept
