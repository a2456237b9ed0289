"""What is known of one endpoint's load, and how long a call sent to it now would take.

Two lower bounds of the wait are known: the work that this router sent and that is not answered, and
the backlog of the last load report, less the time since, plus what was sent after it. The first
misses the calls of other gateways, the second those that were on their way when the report was
written; the larger of both is taken. (A router that counts reports alone herds: all calls of one
round trip go to the endpoint that was idle when it last spoke.)

An estimate that nothing refreshes loses half of its weight every `HALF_LIFE_S`: one slow run must
not make the router refuse for ever what it would have to send to learn better.
"""

from typing import Final

HALF_LIFE_S: Final = 1.0
_RISE: Final = 0.2  # weight of a slower sample: one outlier must not refuse the next calls
_MAX_RISE: Final = 4.0  # and it counts for at most so many times what was expected
_FALL: Final = 0.5  # weight of a faster one: hope costs little, the replica checks again


class ServiceTime:
    """How long runs take, learned from what is reported.

    Attributes:
        run_s: Of one run, a whole batch; 0 while nothing is known.
        each_s: The same divided by the calls of a batch: what one more call adds to the wait.
    """

    __slots__ = ("each_s", "run_s")

    def __init__(self) -> None:
        self.run_s = 0.0
        self.each_s = 0.0

    def learn(self, service_s: float, batch: int) -> None:
        """Takes the time that one batch ran."""
        self.run_s = _blend(self.run_s, service_s)
        self.each_s = _blend(self.each_s, service_s / batch)


class Endpoint:
    """One connected endpoint.

    Attributes:
        name: Its id.
        outstanding: Calls that were sent and are not answered.
    """

    __slots__ = (
        "_backlog_s",
        "_late_s",
        "_late_since_s",
        "_quiet_since_s",
        "_reported_s",
        "_sent_since_report",
        "_own",
        "_siblings",
        "name",
        "outstanding",
    )

    def __init__(self, name: str, siblings: ServiceTime, now_s: float) -> None:
        self.name = name
        self.outstanding = 0
        self._own = ServiceTime()
        self._siblings = siblings  # what it is taken for until it has answered
        self._backlog_s = 0.0
        self._reported_s = now_s
        self._sent_since_report = 0
        self._quiet_since_s = now_s
        self._late_s = 0.0
        self._late_since_s = now_s

    def predicted_s(self, now_s: float) -> float:
        """Returns how long a call sent now would take to be answered."""
        known = self._own if self._own.run_s else self._siblings
        run_s, each_s = known.run_s, known.each_s
        if not self.outstanding:
            weight = _weight(now_s - self._quiet_since_s)
            run_s, each_s = run_s * weight, each_s * weight
        told_s = self._backlog_s - (now_s - self._reported_s) + self._sent_since_report * each_s
        own_s = self.outstanding * each_s
        wait_s = told_s if told_s > own_s else own_s
        if self._late_s:
            wait_s += self._lateness_s(now_s)
        return wait_s + run_s

    def assign(self) -> None:
        """Counts one more call."""
        self.outstanding += 1
        self._sent_since_report += 1

    def leave(self, now_s: float) -> None:
        """Counts one call less."""
        if self.outstanding > 1:
            self.outstanding -= 1
        else:  # already 0 only for answers to calls from before a reconnection
            self.outstanding = 0
            self._quiet_since_s = now_s
        if self._sent_since_report > self.outstanding:
            self._sent_since_report = self.outstanding

    def report(self, now_s: float, service_s: float, backlog_s: float, batch: int) -> None:
        """Takes the load report of an answer."""
        self._backlog_s = backlog_s
        self._reported_s = now_s
        self._sent_since_report = 0
        self._late_s = 0.0
        if batch:
            self._own.learn(service_s, batch)
            self._siblings.learn(service_s, batch)

    def abandoned(self, now_s: float, overdue_s: float) -> None:
        """Counts a call that no one waits for any more.

        An overdue one says that the endpoint is slower than predicted, although it said nothing.
        """
        self.leave(now_s)
        if overdue_s:
            self._late_s = max(self._lateness_s(now_s), overdue_s)
            self._late_since_s = now_s

    def _lateness_s(self, now_s: float) -> float:
        return self._late_s * _weight(now_s - self._late_since_s)


def _weight(age_s: float) -> float:
    return float(0.5 ** (age_s / HALF_LIFE_S))


def _blend(estimate_s: float, sample_s: float) -> float:
    if not estimate_s:
        return sample_s
    sample_s = min(sample_s, _MAX_RISE * estimate_s)
    return estimate_s + (sample_s - estimate_s) * (_RISE if sample_s > estimate_s else _FALL)
