"""What a router is told after its decisions."""

import msgspec

from edgefn.routing.variants import DeployedVariant


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One function, as far as the router is concerned.

    Attributes:
        name: Under which it is called.
        revision: Serving now; what was learned of another one is forgotten.
        variants: All that it has, the preferred one first.
        default: Name of the one for calls that ask for none.
    """

    name: str
    revision: int
    variants: tuple[DeployedVariant, ...]
    default: str


class TableChanged(msgspec.Struct, frozen=True):
    """All that is deployed now; what is not listed is gone."""

    deployments: tuple[Deployment, ...]


class Connected(msgspec.Struct, frozen=True):
    """An endpoint takes calls, and has none yet."""

    endpoint: str


class Disconnected(msgspec.Struct, frozen=True):
    """An endpoint takes no calls; those that it had are lost or sent elsewhere."""

    endpoint: str


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An endpoint answered a call that was sent to it, with its load report.

    Attributes:
        endpoint: Which one.
        service_s: Time that the call's batch ran.
        backlog_s: Estimated time of the work that still waits there.
        batch: Calls in that batch; 0 if the call never ran.
        abandoned: Whether the call was abandoned before.
    """

    endpoint: str
    service_s: float
    backlog_s: float
    batch: int
    abandoned: bool = False


class Abandoned(msgspec.Struct, frozen=True):
    """No one waits any more for a call that was sent; the endpoint was told.

    Attributes:
        endpoint: Which one.
        overdue_s: How long the call had been there when its time was up; 0 if the caller left.
    """

    endpoint: str
    overdue_s: float


Event = TableChanged | Connected | Disconnected | Answered | Abandoned
