"""What a router chooses among: places, and the variants of functions that they serve."""

import msgspec

from edgefn_runtime.manifest import Objective

HERE = ""  # name of the place where the router itself is
USUAL_PRIORITY = 5


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where endpoints are, and at the end of which network path: this box, or a peer.

    Attributes:
        name: Of the peer's box; `HERE` for the router's own.
        tier: As in `edge` or `cloud`.
        site: Where it stands; calls within a site are nearly free.
        forwards: How often a call is forwarded on its way there; of interest elsewhere only.
    """

    name: str = HERE
    tier: str = "edge"
    site: str = ""
    forwards: int = 1


class DeployedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One choice for a call: a replica here, or a variant at a peer, whatever replicas it has.

    Attributes:
        name: Unique in the table.
        place: Name of its place.
        server: What its calls queue for. Endpoints of one server wait for each other; empty: it is
            its own server, as each replica process is.
        replicas: How many answer there; 0: the next call starts one.
        load_s: How long that start takes; of interest at 0 replicas only.
        beyond_s: What calls need from its place on to where they are answered, and back.
    """

    name: str
    place: str = HERE
    server: str = ""
    replicas: int = 1
    load_s: float = 0.0
    beyond_s: float = 0.0


class DeployedVariant(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a deployed function.

    Attributes:
        name: Unique in the function.
        endpoints: Where its calls may go once they are connected, in order of preference.
        accuracy: As it was measured, if it was.
        unavailable: Why this box does not serve it, or empty. A peer may.
        quarantined: Why it is not started here any more, or empty.
        load_s: How long its last replica here took to start; 0 if not known.
        fixed_s: A batch of n is expected to run for `fixed_s + n * each_s`, by the bundle's
            measured profile; 0 if nothing was measured.
        each_s: See `fixed_s`.
        cv: Coefficient of variation of that time.
        cost: Of one call, in the operator's units; 0: what a box works for it, in seconds.
        energy_j: Of one call; 0: by its work and a stated power.
        prefix_s: Work that is done here before the call can go to the endpoint (a split model).
        bytes_factor: What of a call's bytes then goes over the network.
    """

    name: str
    endpoints: tuple[DeployedEndpoint, ...] = ()
    accuracy: float | None = None
    unavailable: str = ""
    quarantined: str = ""
    load_s: float = 0.0
    fixed_s: float = 0.0
    each_s: float = 0.0
    cv: float = 0.1
    cost: float = 0.0
    energy_j: float = 0.0
    prefix_s: float = 0.0
    bytes_factor: float = 1.0


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One function, as far as the router is concerned.

    Attributes:
        name: Under which it is called.
        revision: Serving now; what was learned of another one is forgotten.
        variants: All that it has, the preferred one first.
        default: Name of the one that is preferred here.
        objective: What counts among those that meet the deadline.
        min_accuracy: Floor for variants that were measured; None: no floor.
        degrade: Whether a variant below the floor may answer what none above it could in time.
        tiers: Where it may run, in order of preference.
        max_batch: Most calls of one run.
        idempotent: Whether a call may run twice: hedged, or tried again after a loss.
        escalate_below: An answer of less confidence goes to a better variant; None: never.
    """

    name: str
    revision: int
    variants: tuple[DeployedVariant, ...]
    default: str
    objective: Objective = "latency"
    min_accuracy: float | None = None
    degrade: bool = False
    tiers: tuple[str, ...] = ("edge", "cloud")
    max_batch: int = 1
    idempotent: bool = False
    escalate_below: float | None = None
