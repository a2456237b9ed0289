"""A call on its way: its stay at a gateway, and each time that it is sent somewhere from there."""

from math import inf
from typing import TYPE_CHECKING, Optional

import msgspec

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Send
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.target import Target
from edgefn.simulate.result import Second
from edgefn_runtime.queue import Waiting

if TYPE_CHECKING:
    from edgefn.simulate.engine.device import Run


class Visit(msgspec.Struct, eq=False):
    """A call while it is at one gateway: what the policy sees of it (`routing.Demand`), and more.

    Attributes:
        function: Name of its function.
        deadline_s: As the gateway understands it; None: none.
        size_bytes: Of its body.
        arrived_s: When it came in there.
        of: Its function.
        luck: Standard normal, for the time it runs,
        network_luck: and for its ways through networks.
        second: Where it is counted; None: it belongs to the warm-up.
        priority: Of its function.
        idempotent: Likewise.
        choice: The variant that another gateway has chosen, if it comes from there.
        hops: How often it was forwarded.
        origin: The flight that brought it from another gateway; None: it came from outside.
        flights: All that it was sent with, in order.
        left_s: When its answer left the gateway, if it goes back to another one.
        done: Whether it is decided what became of it.
        waited_s: Time that it waited for a replica to start.
        waits_for: The variant of which it waits for one.
        waits_since_s: Since when it has been waiting for one; infinite if it does not.
    """

    function: str
    deadline_s: float | None
    size_bytes: int
    arrived_s: float
    of: Function
    luck: float
    network_luck: float
    second: Second | None
    priority: int
    idempotent: bool
    choice: Choice | None = None
    hops: int = 0
    origin: Optional["Flight"] = None
    flights: list["Flight"] = []
    left_s: float = inf
    done: bool = False
    waited_s: float = 0.0
    waits_for: str = ""
    waits_since_s: float = inf


class Flight(msgspec.Struct, eq=False):
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

    visit: Visit
    send: Send
    target: Target
    luck: float
    budget_s: float = inf
    deadline_s: float = inf
    arrived_s: float = inf
    waiting: Optional["Waiting[Flight]"] = None
    run: Optional["Run"] = None
    dropped_s: float = inf
    visited: Visit | None = None
    cancelled: bool = False
    over: bool = False
    abandoned: bool = False


def forwarded(now_s: float, flight: Flight) -> Visit:
    """Returns the stay of a call at the gateway to which a flight has brought it."""
    before = flight.visit
    return Visit(
        before.function,
        None if flight.budget_s == inf else now_s + flight.budget_s,
        before.size_bytes,
        now_s,
        before.of,
        flight.luck,
        before.network_luck,
        before.second,
        before.priority,
        before.idempotent,
        before.of.choices[flight.send.variant],
        before.hops + 1,
        flight,
    )
