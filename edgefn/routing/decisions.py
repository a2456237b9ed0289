"""What a router can decide about one call."""

from dataclasses import dataclass
from typing import Protocol

from edgefn.errors import EdgefnError
from edgefn.routing.variants import Choice


class Demand(Protocol):
    """What the router must know of a call."""

    @property
    def function(self) -> str:
        """Name of the function that is called."""

    @property
    def choice(self) -> Choice | None:
        """What it asks of the variant; None: whatever the function's default is."""

    @property
    def deadline_s(self) -> float | None:
        """Instant by which it must be answered, on the clock of `now_s`; None: no deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send the call to this endpoint; its work is counted there from now on."""

    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """No endpoint is up, but one may start within the call's budget: have it started, and ask
    again when it is connected.

    Attributes:
        variant: Of which one is to be started.
    """

    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer this error now.

    Attributes:
        error: What the caller is told.
        wake: Variant of which a replica should be started all the same, for those who call next;
            or empty.
    """

    error: EdgefnError
    wake: str = ""


Decision = Send | Wait | Refuse
