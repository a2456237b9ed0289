"""One deployed function, as its gateway sees it: its route, who waits, what was counted."""

from bisect import bisect_left
from collections import Counter
from typing import Final

from edgefn.errors import QueueFull
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import (
    LATENCY_EDGES_S,
    FunctionReport,
    FunctionRoute,
    SentCount,
    new_report,
)
from edgefn.routing.decisions import Send
from edgefn.scaling.demand import Demand
from edgefn_runtime.wire import Reply

MAX_WAITING: Final = 256


class Function:
    """A deployed function.

    Attributes:
        route: What the box said of it.
        waiting: Calls that wait for a first replica of a variant, in order of arrival.
        woken_s: When the box was last asked for a replica, by variant.
    """

    def __init__(self, route: FunctionRoute) -> None:
        self.route = route
        self.waiting: dict[PendingCall, str] = {}
        self.woken_s: dict[str, float] = {}
        self._report = new_report(route.name)
        self._sent: dict[tuple[str, str, str], int] = {}
        self._demand: dict[str, Demand] = {}  # by variant
        self._changed = True
        self._gauges: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def wait(self, call: PendingCall, variant: str) -> None:
        """Lets a call wait for a replica of a variant; it may wait already, for another one.

        Raises:
            QueueFull: As many wait as may.
        """
        if len(self.waiting) >= MAX_WAITING and call not in self.waiting:
            raise QueueFull(
                f"{MAX_WAITING} calls of {self.route.name!r} wait for a replica already; "
                "try again later",
            )
        self.waiting[call] = variant

    def waited(self, call: PendingCall, now_s: float) -> None:
        """Counts a call that has waited for a replica."""
        self.waiting.pop(call, None)
        call.waited_s = now_s - call.read_s
        self._report.cold_starts += 1

    def want(self, variant: str, now_s: float, work_s: float, slack_s: float) -> None:
        """Records that a call wanted a variant, for the box to scale by.

        For every call once, as soon as it is decided: also one that waits, is refused or goes to a
        peer, because what is too small must not look as if it were large enough.

        Args:
            variant: That it is sent to, waits for, or would have been answered by (`Send.variant`,
                `Wait.variant`, `Refuse.variant`).
            now_s: Monotonic.
            work_s: `work_s` of that decision; 0 if it is not known.
            slack_s: How long it could wait before its run starts, and still be in time: what is
                left of its budget, less its own run and the network. Infinite without a deadline;
                of 0 or less nothing is recorded, for no further replica would help.
        """
        demand = self._demand.get(variant)
        if demand is None:
            demand = self._demand[variant] = Demand()
        demand.want(now_s, work_s, slack_s)
        self._changed = True

    def count_sent(self, send: Send) -> None:
        """Counts that a call was sent somewhere."""
        key = (send.variant, send.place, send.purpose)
        self._sent[key] = self._sent.get(key, 0) + 1

    def count_refused(self, code: str) -> None:
        """Counts a call that was sent nowhere, by the code of its error."""
        refused = self._report.refused
        refused[code] = refused.get(code, 0) + 1
        self._changed = True

    def count(self, status: int) -> None:
        """Counts a call that has no result, by the status that it was answered with."""
        outcomes = self._report.outcomes
        outcomes[status] = outcomes.get(status, 0) + 1
        self._changed = True

    def count_forwarded_in(self) -> None:
        """Counts a call that a peer sent here."""
        self._report.forwarded_in += 1
        self._changed = True

    def count_miss(self, cause: str) -> None:
        """Counts a call that was not answered in time, by cause (`FunctionReport.misses`)."""
        misses = self._report.misses
        misses[cause] = misses.get(cause, 0) + 1

    def count_variant(self, variant: str) -> None:
        """Counts a call that a replica of a variant answered, in whatever way."""
        variants = self._report.variants
        variants[variant] = variants.get(variant, 0) + 1
        self._changed = True

    def count_result(
        self, elapsed_s: float, reply: Reply, variant: str, *, degraded: bool = False
    ) -> None:
        """Counts a result: how long its caller waited for it, and where that time went."""
        report = self._report
        if degraded:
            report.degraded += 1
        outcomes, variants = report.outcomes, report.variants
        outcomes[200] = outcomes.get(200, 0) + 1
        variants[variant] = variants.get(variant, 0) + 1
        report.latency_buckets[bisect_left(LATENCY_EDGES_S, elapsed_s)] += 1
        report.latency_sum_s += elapsed_s
        report.queue_sum_s += reply.queue_us * 1e-6
        report.service_sum_s += reply.service_us * 1e-6
        self._changed = True

    def take_report(self, held: dict[str, int]) -> FunctionReport | None:
        """Returns what was counted since the last report, or None if nothing changed.

        Args:
            held: Calls that each replica has now.
        """
        waiting = dict(Counter(self.waiting.values()))
        gauges = (waiting, held)
        if not self._changed and gauges == self._gauges:
            return None
        report = self._report
        report.waiting = waiting
        report.replicas = held
        report.ongoing = sum(held.values())
        report.demand = {name: one.take() for name, one in self._demand.items() if one}
        report.sent = tuple(SentCount(*key, count) for key, count in self._sent.items())
        self._sent = {}
        self._report = new_report(self.route.name)
        self._changed = False
        self._gauges = gauges
        return report
