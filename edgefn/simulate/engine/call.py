"""A call on its way: its stay at a gateway, and each time that it is sent somewhere from there.

These objects are made for every call, and each has what most calls never need as an attribute of
its class: reading that is slower, and not setting it is much faster.
"""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Optional

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.target import Target

if TYPE_CHECKING:
    from edgefn.simulate.engine.counts import Counts
    from edgefn.simulate.engine.replica import Run
    from edgefn_runtime.queue import Waiting


class Visit:
    """A call while it is at one gateway: what the policy sees of it (`routing.Demand`), and more.

    Attributes:
        function: Name of its function.
        deadline_s: As the gateway understands it; None: none.
        size_bytes: Of its body.
        arrived_s: When it came in there.
        of: Its function.
        luck: Standard normal, for the time it runs,
        network_luck: and for its ways through networks.
        counts: Where it is counted; None: it belongs to the warm-up.
        priority: Of its function.
        idempotent: Likewise.
        choice: The variant that another gateway has chosen, if it comes from there.
        hops: How often it was forwarded.
        origin: The flight that brought it from another gateway; None: it came from outside.
        flights: All that it was sent with, in order; none any more once it is decided.
        left_s: When its answer left the gateway, if it goes back to another one.
        done: Whether it is decided what became of it.
        waited_s: Time that it waited for a replica to start.
        waits_for: The variant of which it waits for one.
        waits_since_s: Since when it has been waiting for one; infinite if it does not.
    """

    flights: Sequence["Flight"]
    left_s: float = inf
    waited_s: float = 0.0
    waits_for: str = ""
    waits_since_s: float = inf

    def __init__(
        self,
        of: Function,
        deadline_s: float | None,
        size_bytes: int,
        arrived_s: float,
        luck: float,
        network_luck: float,
        counts: "Counts | None",
        choice: Choice | None = None,
        origin: "Flight | None" = None,
    ) -> None:
        self.function = of.name
        self.deadline_s = deadline_s
        self.size_bytes = size_bytes
        self.arrived_s = arrived_s
        self.of = of
        self.luck = luck
        self.network_luck = network_luck
        self.counts = counts
        self.priority = of.priority
        self.idempotent = of.idempotent
        self.choice = choice
        self.hops: int = 0 if origin is None else origin.visit.hops + 1
        self.origin = origin
        self.flights = ()
        self.done = False


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
        waiting: Its place in the replica's queue; None: it does not wait there.
        run: The batch that it ran with; None: it did not.
        dropped_s: When it was refused instead; infinite: it was not.
        visited: Its stay at the other gateway.
        cancelled: Whether a cancellation has got there.
        over: Whether an event brought its `Send` back to the policy, as the last one.
        abandoned: Whether no one waits for it any more.
    """

    budget_s: float = inf
    arrived_s: float = inf
    run: Optional["Run"] = None
    dropped_s: float = inf
    visited: Visit | None = None
    cancelled: bool = False
    abandoned: bool = False

    def __init__(
        self, visit: Visit, send: Send, target: Target, luck: float, deadline_s: float = inf
    ) -> None:
        self.visit = visit
        self.send = send
        self.target = target
        self.luck = luck
        self.deadline_s = deadline_s
        self.waiting: Waiting[Flight] | None = None
        self.over = False


def take_apart(visit: Visit) -> None:
    """Undoes the cycles of a call that is decided, which else would wait for the collector."""
    for flight in visit.flights:
        detach(flight)
    visit.flights = ()


def detach(flight: Flight) -> None:
    """Separates a flight from its stay at another gateway, if that is over."""
    visited = flight.visited
    if visited is not None and visited.done:
        visited.flights = ()
        flight.visited = None


def forwarded(now_s: float, flight: Flight) -> Visit:
    """Returns the stay of a call at the gateway to which a flight has brought it."""
    before = flight.visit
    return Visit(
        before.of,
        None if flight.budget_s == inf else now_s + flight.budget_s,
        before.size_bytes,
        now_s,
        flight.luck,
        before.network_luck,
        before.counts,
        before.of.choices[flight.send.variant],
        flight,
    )
