"""A call on its way: its stay at a gateway, and each time that it is sent somewhere from there."""

from math import inf
from typing import TYPE_CHECKING

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.simulate.arrival import Arrival
from edgefn.simulate.result import Second
from edgefn_runtime.queue import Waiting

if TYPE_CHECKING:
    from edgefn.simulate.engine.device import Run
    from edgefn.simulate.engine.function import Function
    from edgefn.simulate.engine.target import Target


class Visit:
    """A call while it is at one gateway: what the policy sees of it (`routing.Demand`), and more.

    Attributes:
        deadline_s: As the gateway understands it; None: none.
        arrived_s: When it came in there.
        of: Its function.
        flights: All that it was sent with, in order.
        left_s: When its answer left the gateway, if it goes back to another one.
        origin: The flight that brought it here from another gateway; None: it came from outside.
        done: Whether it is decided what became of it.
        luck: Standard normal, for the time it runs,
        network_luck: and for its ways through networks.
        second: Where it is counted; None: it belongs to the warm-up.
        waited_s: Time that it waited for a replica to start.
        waits_for: The variant of which it waits for one.
        waits_since_s: Since when it has been waiting for one; infinite if it does not.
    """

    __slots__ = (
        "arrived_s",
        "choice",
        "deadline_s",
        "done",
        "flights",
        "function",
        "hops",
        "idempotent",
        "left_s",
        "luck",
        "network_luck",
        "of",
        "origin",
        "priority",
        "second",
        "size_bytes",
        "waited_s",
        "waits_for",
        "waits_since_s",
    )

    choice: Choice | None
    hops: int
    origin: "Flight | None"

    def __init__(self, of: "Function", arrival: Arrival, second: Second | None) -> None:
        now_s, _, _, self.size_bytes, self.luck, self.network_luck = arrival
        self.of = of
        self.function = of.name
        self.choice = None
        self.deadline_s = now_s + of.deadline_s if of.deadline_s else None
        self.priority = of.priority
        self.hops = 0
        self.idempotent = of.idempotent
        self.arrived_s = now_s
        self.flights: list[Flight] = []
        self.left_s = inf
        self.origin = None
        self.done = False
        self.second = second
        self.waited_s = 0.0
        self.waits_for = ""
        self.waits_since_s = inf

    @classmethod
    def forwarded(cls, now_s: float, flight: "Flight", choice: Choice) -> "Visit":
        """Returns the stay at the gateway that a flight has come to."""
        before, send = flight.visit, flight.send
        arrival = Arrival(now_s, 0, 0, send.size_bytes, flight.luck, before.network_luck)
        visit = cls(before.of, arrival, before.second)
        visit.deadline_s = None if flight.budget_s == inf else now_s + flight.budget_s
        visit.choice = choice
        visit.hops = before.hops + 1
        visit.origin = flight
        return visit


class Flight:
    """One sending of a call, to a replica or to another gateway.

    Attributes:
        visit: The call at the gateway that sent it.
        send: As the policy decided.
        target: What its endpoint is.
        luck: Standard normal, for the time it runs.
        budget_s: That travels with it to another gateway; infinite: none.
        deadline_s: By which a replica must have answered; infinite: none.
        arrived_s: When it got there; infinite: it has not yet.
        waiting: Its place in the replica's queue.
        run: The batch that it ran with; None: it did not.
        dropped_s: When it was refused instead; infinite: it was not.
        visited: Its stay at the other gateway.
        cancelled: Whether a cancellation has got there.
        over: Whether an event brought its `Send` back to the policy, as the last one.
        abandoned: Whether no one waits for it any more.
    """

    __slots__ = (
        "abandoned",
        "arrived_s",
        "budget_s",
        "cancelled",
        "deadline_s",
        "dropped_s",
        "luck",
        "over",
        "run",
        "send",
        "target",
        "visit",
        "visited",
        "waiting",
    )

    def __init__(self, visit: Visit, send: Send, target: "Target") -> None:
        self.visit = visit
        self.send = send
        self.target = target
        # The second sending of a call has luck of its own, but the same one under every policy.
        self.luck = visit.network_luck if visit.flights else visit.luck
        self.budget_s = self.deadline_s = inf
        self.arrived_s = inf
        self.waiting: Waiting[Flight] | None = None
        self.run: Run | None = None
        self.dropped_s = inf
        self.visited: Visit | None = None
        self.cancelled = False
        self.over = False
        self.abandoned = False
