"""What a box says of itself, as the admin API spells it."""

from typing import Literal

import msgspec

from edgefn.client.counts import PlaceStatus
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import Measurement


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One replica. `private_bytes` is the memory that it shares with nobody."""

    replica: str
    variant: str
    state: Literal["starting", "ready", "draining"]
    pid: int = 0
    ongoing: int = 0
    started_at: str = ""
    private_bytes: int = 0


class Death(msgspec.Struct, frozen=True):
    """How a replica ended that was not told to."""

    at: str
    reason: str


class VariantStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a deployed function.

    Attributes:
        name: Unique in the function.
        default: Whether it answers the calls that ask for none.
        state: `available` ones without a replica start with their first call.
        reason: Why, if not available.
        replicas: Ready ones.
        wanted: Replicas that the box's own scaler wants.
        leases: How many replicas are held, as by a Ray cluster.
        backend: What runs its models.
        recipe: How it was made; empty for the models as the developer gave them.
        measured: When it was built, if anything was.
    """

    name: str
    default: bool = False
    state: Literal["available", "unavailable", "quarantined"] = "available"
    reason: str = ""
    replicas: int = 0
    wanted: int = 0
    leases: int = 0
    backend: str = ""
    recipe: str = ""
    measured: Measurement | None = None


class FunctionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed function.

    Attributes:
        name: Under which it is called.
        revision: Serving now.
        digest: Of its manifest.
        state: Whether it serves; it is quarantined if its default variant is, whose replicas
            died too often and are not started any more. `elsewhere`: other boxes of the fleet
            serve it, and calls are sent there.
        reason: Why, if it does not.
        doc: The first paragraph of its docstring.
        variants: All, the preferred one first.
        replicas: All that live.
        calls: Since the box started.
        errors: Calls that failed.
        misses: Calls that were not answered in time.
        deaths: Of replicas.
        last_death: The newest.
        spec: What was declared; only in the answer for one function.
        schema: What goes in and out; only in the answer for one function.
    """

    name: str
    revision: int
    digest: str
    state: Literal["serving", "elsewhere", "quarantined"]
    reason: str = ""
    doc: str = ""
    variants: tuple[VariantStatus, ...] = ()
    replicas: tuple[ReplicaStatus, ...] = ()
    calls: int = 0
    errors: int = 0
    misses: int = 0
    deaths: int = 0
    last_death: Death | None = None
    spec: FunctionSpec | None = None
    schema: FunctionSchema | None = None


class GatewayStatus(msgspec.Struct, frozen=True):
    """One gateway process."""

    gateway: int
    pid: int
    connections: int


class BoxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A box and everything on it. `is_hub`: it holds what a fleet should serve."""

    box: str
    tier: str
    version: str
    pid: int
    started_at: str
    url: str
    state_dir: str
    site: str = ""
    peer_address: str = ""
    places: tuple[PlaceStatus, ...] = ()
    secure_url: str = ""
    is_hub: bool = False
    gateways: tuple[GatewayStatus, ...]
    functions: tuple[FunctionStatus, ...]


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a function's history."""

    revision: int
    digest: str
    state: Literal["serving", "superseded", "failed", "removed"]
    created_at: str
    reason: str = ""
    note: str = ""


class LogLine(msgspec.Struct, frozen=True):
    """One line that a function printed."""

    at: str
    replica: str
    text: str


class LogPage(msgspec.Struct, frozen=True):
    """Lines, oldest first, and where the next ones begin."""

    lines: tuple[LogLine, ...]
    next: int
