"""What a box of a fleet tells its hub of itself: after each change, and every few seconds.

A hub hands some of it on to other boxes, counts with it, and shows it to operators. So the types
say what may be in it: a report with anything else is refused as it is decoded.
"""

from typing import Annotated, Final, Literal

import msgspec

from edgefn.config import NAME_PATTERN
from edgefn.desired.address import ADDRESS_PATTERN
from edgefn_runtime import manifest, variant

REPORT_S: Final = 5.0  # at the longest between two reports of a box
LOST_S: Final = 15.0  # without a report, a box is taken for lost: two may go astray
MAX_REPORT_BYTES: Final = 1024 * 1024
MAX_REASON_CHARACTERS: Final = 1000

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
FunctionName = Annotated[str, msgspec.Meta(pattern=manifest.NAME_PATTERN)]
VariantName = Annotated[str, msgspec.Meta(pattern=variant.VARIANT_PATTERN)]
Address = Annotated[str, msgspec.Meta(pattern=rf"^\Z|{ADDRESS_PATTERN}")]
Word = Annotated[str, msgspec.Meta(max_length=128)]
Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARACTERS)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Replicas = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class VariantReport(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a function at a box.

    Attributes:
        name: Of the variant.
        wanted: Replicas that the box's own scaler wants for what was called there.
        replicas: Ready ones.
        leases: Of these, how many a Ray cluster holds.
        refused: Why the box cannot serve it; empty if it can.
    """

    name: VariantName
    wanted: Replicas = 0
    replicas: Replicas = 0
    leases: Replicas = 0
    refused: Reason = ""


FunctionState = Literal["serving", "elsewhere", "pending", "failed", "quarantined"]


class FunctionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One function at a box.

    Attributes:
        name: Of the function.
        digest: Of the bundle that serves; empty if none does.
        state: `elsewhere`: it is for another tier, and calls are sent there. `pending`: it is on
            its way. `failed`: what is wanted did not come up; what served before serves on.
        reason: Why, if it is not served.
        variants: All of them.
        calls: That were answered since the box started.
        misses: Of these, those that were late.
    """

    name: FunctionName
    digest: Word = ""
    state: FunctionState = "serving"
    reason: Reason = ""
    variants: tuple[VariantReport, ...] = ()
    calls: Count = 0
    misses: Count = 0


class LinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, as a box sees it. `rtt_s` is 0 where it is not known."""

    box: Name
    tier: Name
    up: bool
    rtt_s: Seconds = 0.0


class BoxReport(msgspec.Struct, frozen=True, kw_only=True):
    """A box.

    Attributes:
        box: Its name.
        tier: Its tier.
        site: Where it stands.
        version: Of edgefn.
        boot_id: Another one after each start.
        epoch: Of the desired state that it follows.
        revision: Of that state, up to which everything was tried.
        address: Where others can dial it with TLS, as `host:port`; empty: nowhere.
        has_ray: Whether it is part of the Ray cluster.
        functions: All that it knows.
        links: To its peers.
        started_s: Seconds since 1970 when it started.
    """

    box: Name
    tier: Name
    site: Name
    version: Word
    boot_id: Word
    epoch: Word = ""
    revision: Count = 0
    address: Address = ""
    has_ray: bool = False
    functions: tuple[FunctionReport, ...] = ()
    links: tuple[LinkReport, ...] = ()
    started_s: Seconds = 0.0
