"""The lease protocol: how whoever places replicas on a box has and keeps them, over a Unix socket.

A **lease** holds one replica of a variant of a function on one box, whichever process and whichever
revision that is at the moment: what serves is the box's business, how many is the holder's. One
connection is one lease:

    holder                            box
    TakeLease                ->
                             <-       LeaseTaken, once a replica answers; or LeaseRefused
    CheckLease               ->
                             <-       LeaseState
    GiveBack                 ->
                             <-       GivenBack, and the end

A lease that was given back is drained as far as the box does not want the replica itself. One whose
connection ends without `GiveBack` is lost: its replica serves on, and the next lease takes it
over.

A connection that sends `Watch` instead is told what the box knows of the fleet, at every change,
and tells whether this machine is in the Ray cluster. Each message is `length u32 (little endian) |
msgpack`. Nothing here is secret from the box's own user, who alone can open the socket.
"""

import struct
from typing import Any, Final

import msgspec

SOCKET: Final = (
    "leases.sock"  # in the run directory, which the file `run` of the state directory names
)
MAX_PER_BOX: Final = 100  # what Ray Serve takes
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
LENGTH: Final = struct.Struct("<I")


class TakeLease(msgspec.Struct, frozen=True, tag="take"):
    """Wants a replica. `holder` names who asks, for people."""

    function: str
    variant: str
    holder: str


class CheckLease(msgspec.Struct, frozen=True, tag="check"):
    """Asks whether the lease still holds a replica that answers."""


class GiveBack(msgspec.Struct, frozen=True, tag="give_back"):
    """Needs it no longer."""


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Wants to be told of the fleet."""


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """Tells, on a watching connection, whether this machine is in the Ray cluster now.

    Attributes:
        address: Of the head that runs here, as others dial it; empty: none does.
        token: Of that cluster; empty: as the box gave it.
        in_cluster: Whether this machine is one of its.
        reason: Why not, for people.
    """

    in_cluster: bool
    address: str = ""
    token: str = ""
    reason: str = ""


class LeaseTaken(msgspec.Struct, frozen=True, tag="taken"):
    """The lease. `adopted`: the replica was there already."""

    lease: int
    replica: str
    pid: int
    adopted: bool


class LeaseRefused(msgspec.Struct, frozen=True, tag="refused"):
    """There is none. `code` is that of an error of edgefn."""

    code: str
    message: str


class LeaseState(msgspec.Struct, frozen=True, tag="state"):
    """What a lease holds.

    Attributes:
        healthy: Whether there is a replica that answers, or one is on its way.
        reason: Why not.
        replica: That it holds; empty: it is being replaced.
    """

    healthy: bool
    reason: str = ""
    replica: str = ""


class GivenBack(msgspec.Struct, frozen=True, tag="given_back"):
    """It is."""


class Pool(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """The replicas of one variant at one site that a Ray cluster should hold.

    Attributes:
        function: That they serve.
        variant: Of it.
        tier: Of their boxes.
        site: Of their boxes.
        count: How many there should be.
        max_per_box: How many of them on one box at the most.
    """

    function: str
    variant: str
    tier: str
    site: str
    count: int
    max_per_box: int = MAX_PER_BOX


class FleetNow(msgspec.Struct, frozen=True, kw_only=True, tag="fleet"):
    """What a box knows of the fleet that it is one of.

    Attributes:
        box: Its name.
        tier: Its tier.
        site: Its site.
        is_hub: Whether it is the hub, where the Ray cluster has its head.
        head: Address of the head of the Ray cluster; empty: not known yet, or it is to be here.
        token: Of the cluster; empty: not known yet, or it is to be made here.
        pools: How many replicas of what should be where; None: that is not known, as on all boxes
            but a hub that heard of its boxes, and what is there stays.
    """

    box: str
    tier: str
    site: str
    is_hub: bool = False
    head: str = ""
    token: str = ""
    pools: tuple[Pool, ...] | None = None


ToBox = TakeLease | CheckLease | GiveBack | Watch | Joined
FromBox = LeaseTaken | LeaseRefused | LeaseState | GivenBack | FleetNow


def encode(message: Any) -> bytes:
    """Returns the bytes of a message, its length included."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body
