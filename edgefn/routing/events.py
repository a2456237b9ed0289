"""What a router is told after its decisions."""

import msgspec


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One function, as far as the router is concerned.

    Attributes:
        name: Under which it is called.
        revision: Serving now; what was learned of another one is forgotten.
        endpoints: Where its calls may go once they are connected, in order of preference.
        quarantined: Why it is not started any more, or empty.
        load_s: How long its last replica took to start; 0 if not known.
    """

    name: str
    revision: int
    endpoints: tuple[str, ...]
    quarantined: str = ""
    load_s: float = 0.0


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
