"""What a router is told after its decisions."""

import msgspec

from edgefn.routing.decisions import Send
from edgefn.routing.table import Deployment, Place


class TableChanged(msgspec.Struct, frozen=True):
    """All that is deployed now, and all places; what is not listed is gone.

    What was learned of endpoints, servers, variants and places of the same name stays.
    """

    deployments: tuple[Deployment, ...]
    places: tuple[Place, ...] = (Place(),)


class Connected(msgspec.Struct, frozen=True):
    """An endpoint takes calls, and has none yet."""

    endpoint: str


class Disconnected(msgspec.Struct, frozen=True):
    """An endpoint takes no calls; those that it had are lost or sent elsewhere."""

    endpoint: str


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An endpoint answered a call that was sent to it, with its load report.

    Attributes:
        send: As it was decided.
        queue_s: Time that the call was there and did not run.
        service_s: Time that its batch ran.
        backlog_s: Estimated time of the work that still waits there.
        batch: Calls in that batch; 0 if the call never ran: it was refused there.
        abandoned: Whether the call was abandoned before.
    """

    send: Send
    queue_s: float
    service_s: float
    backlog_s: float
    batch: int
    abandoned: bool = False


class Abandoned(msgspec.Struct, frozen=True):
    """No one waits any more for a call that was sent; the endpoint was told.

    Attributes:
        send: As it was decided.
        overdue: Whether its time was up; else its caller left, or another answer came first.
    """

    send: Send
    overdue: bool


class Failed(msgspec.Struct, frozen=True):
    """A call that was sent is lost: the replica died, the connection broke, the peer had an error.

    Attributes:
        send: As it was decided.
    """

    send: Send


class LoadReported(msgspec.Struct, frozen=True):
    """A peer said how busy an endpoint is, without having been called.

    Attributes:
        endpoint: Which one.
        backlog_s: How long a call would wait there.
        replicas: How many answer there now.
    """

    endpoint: str
    backlog_s: float
    replicas: int


class ProbeSent(msgspec.Struct, frozen=True):
    """A probe went to a place; there is at most one unanswered one."""

    place: str


class ProbeAnswered(msgspec.Struct, frozen=True):
    """The probe came back.

    Attributes:
        place: Where it had been.
        took_s: There and back.
        size_bytes: What it carried.
    """

    place: str
    took_s: float
    size_bytes: int


Event = (
    TableChanged
    | Connected
    | Disconnected
    | Answered
    | Abandoned
    | Failed
    | LoadReported
    | ProbeSent
    | ProbeAnswered
)
