"""What a router can decide about one call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from edgefn.errors import EdgefnError
from edgefn.routing.choice import Choice

Rng = Callable[[], float]  # uniform in [0, 1), handed in by whoever asks
Purpose = Literal["first", "hedge", "retry", "escalation"]


class Demand(Protocol):
    """What the router must know of a call."""

    @property
    def function(self) -> str:
        """Name of the function that is called."""

    @property
    def choice(self) -> Choice | None:
        """What it asks of the variant; None: whatever suits the function."""

    @property
    def deadline_s(self) -> float | None:
        """Instant by which it must be answered, on the clock of `now_s`; None: no deadline."""

    @property
    def size_bytes(self) -> int:
        """Of its body."""

    @property
    def priority(self) -> int:
        """From 0 to 9; under overload the lower ones are refused first, of all functions."""

    @property
    def hops(self) -> int:
        """How often it was forwarded already; the router is told how often that may be."""

    @property
    def idempotent(self) -> bool:
        """Whether its caller says that it may run twice, whatever the function says."""


class Send:
    """Send the call to this endpoint. Its work is counted there until an event brings this back.

    One object a call: it is handed back in the events that tell what came of it. Whoever carries
    it out reads it and changes nothing.

    Attributes:
        endpoint: Name of the endpoint.
        variant: Name of the variant.
        place: Name of the place; `table.HERE` for this box.
        purpose: `first`, or why it is sent once more.
        sent_s: When it was decided.
        deadline_s: Of the call; infinite for none.
        size_bytes: What goes over the network.
        network_s: Predicted legs: the network, there and back,
        cold_s: a replica's start,
        wait_s: the queue, as far as the call has to wait for it,
        service_s: and the run itself.
        queued_s: All that was queued there, whether the call overtakes it or not.
        sd_s: Standard deviation of the sum of the legs.
        bound_s: What it exceeds only as often as the calibration wants.
        chance: Probability that it is answered in time.
        work_s: What it adds to its server's queue.
        hedge_at_s: When to ask `Router.hedge`, if there is no answer by then; infinite: never.
        degraded: Whether the variant is below the floor of accuracy.
        priority: Of the call.
        wake: Variant of which a replica should be started here as well, for those who call next;
            or empty.
    """

    __slots__ = (
        "bound_s",
        "chance",
        "cold_s",
        "deadline_s",
        "degraded",
        "endpoint",
        "hedge_at_s",
        "ledger",
        "network_s",
        "place",
        "priority",
        "purpose",
        "queued_s",
        "sd_s",
        "sent_s",
        "service_s",
        "size_bytes",
        "variant",
        "wait_s",
        "wake",
        "work_s",
    )

    endpoint: str
    variant: str
    place: str
    purpose: Purpose
    sent_s: float
    deadline_s: float
    size_bytes: int
    network_s: float
    cold_s: float
    wait_s: float
    service_s: float
    queued_s: float
    sd_s: float
    bound_s: float
    chance: float
    work_s: float
    hedge_at_s: float
    degraded: bool
    priority: int
    wake: str
    ledger: object  # the router's own

    @property
    def predicted_s(self) -> float:
        """How long it is expected to take."""
        return self.network_s + self.cold_s + self.wait_s + self.service_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """No endpoint is up, but one may start within the call's budget: have it started, and ask
    again when it is connected.

    Attributes:
        variant: Of which one is to be started.
        work_s: What the call will add to its queue.
    """

    variant: str
    work_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer this error now.

    Attributes:
        error: What the caller is told.
        wake: Variant of which a replica should be started all the same, for those who call next;
            or empty.
        variant: Which one would have been the nearest to answer it; empty if none could ever.
        work_s: What the call would have added to its queue: demand that was not met.
    """

    error: EdgefnError
    wake: str = ""
    variant: str = ""
    work_s: float = 0.0


Decision = Send | Wait | Refuse
