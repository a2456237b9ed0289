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

from edgefn.routing.decisions import Send

HALF_LIFE_S: Final = 1.0
_RISE: Final = 0.2  # weight of a slower sample: one outlier must not refuse the next calls
_FALL: Final = 0.5  # weight of a faster one: hope costs little, the replica checks again


def blend(estimate_s: float, sample_s: float) -> float:
    """Returns an estimate moved towards a sample, faster down than up."""
    if not estimate_s:
        return sample_s
    return estimate_s + (sample_s - estimate_s) * (_RISE if sample_s > estimate_s else _FALL)


class Endpoint:
    """One connected endpoint.

    Attributes:
        name: Its id.
        function: Whose calls it takes.
        send: The decision for it, made once.
        outstanding: Calls that were sent and are not answered.
        run_s: Estimated time of one run, a whole batch.
        each_s: The same divided by the calls of a batch: what one more call adds to the wait.
    """

    __slots__ = (
        "_backlog_s",
        "_late_s",
        "_late_since_s",
        "_quiet_since_s",
        "_reported_s",
        "_sent_since_report",
        "each_s",
        "function",
        "name",
        "outstanding",
        "run_s",
        "send",
    )

    def __init__(
        self, name: str, function: str, now_s: float, *, run_s: float, each_s: float
    ) -> None:
        self.name = name
        self.function = function
        self.send = Send(endpoint=name)
        self.outstanding = 0
        self.run_s = run_s
        self.each_s = each_s
        self._backlog_s = 0.0
        self._reported_s = now_s
        self._sent_since_report = 0
        self._quiet_since_s = now_s
        self._late_s = 0.0
        self._late_since_s = now_s

    def predicted_s(self, now_s: float) -> float:
        """Returns how long a call sent now would take to be answered."""
        if self.outstanding:
            run_s, each_s = self.run_s, self.each_s
        else:
            weight = 0.5 ** ((now_s - self._quiet_since_s) / HALF_LIFE_S)
            run_s, each_s = self.run_s * weight, self.each_s * weight
        told_s = self._backlog_s - (now_s - self._reported_s) + self._sent_since_report * each_s
        own_s = self.outstanding * each_s
        wait_s = told_s if told_s > own_s else own_s
        if self._late_s:
            wait_s += self._late_s * 0.5 ** ((now_s - self._late_since_s) / HALF_LIFE_S)
        return wait_s + run_s

    def assign(self) -> None:
        """Counts one more call."""
        self.outstanding += 1
        self._sent_since_report += 1

    def answered(self, now_s: float, service_s: float, backlog_s: float, batch: int) -> None:
        """Counts an answer and takes its load report."""
        self._leave(now_s)
        self._backlog_s = backlog_s
        self._reported_s = now_s
        self._sent_since_report = 0
        self._late_s = 0.0
        if batch:
            self.run_s = blend(self.run_s, service_s)
            self.each_s = blend(self.each_s, service_s / batch)

    def abandoned(self, now_s: float, overdue_s: float) -> None:
        """Counts a call that no one waits for. An overdue one says that the endpoint is slower
        than was predicted, although it said nothing."""
        self._leave(now_s)
        if overdue_s:
            self._late_s = max(self._late_s, overdue_s)
            self._late_since_s = now_s

    def _leave(self, now_s: float) -> None:
        if self.outstanding > 1:
            self.outstanding -= 1
        else:  # already 0 only for answers to calls from before a reconnection
            self.outstanding = 0
            self._quiet_since_s = now_s
