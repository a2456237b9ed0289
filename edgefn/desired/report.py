"""What a box of a fleet tells its hub of itself: after each change, and every few seconds.

A hub hands some of it on to other boxes, shows it to operators and counts with it. So the types
here say what may be in a report, and one with anything else is refused when it is decoded.
"""

from typing import Annotated, Final, Literal

import msgspec

from edgefn.desired.address import ADDRESS_PATTERN
from edgefn_runtime.manifest import NAME_PATTERN

MAX_REPORT_BYTES: Final = 1024 * 1024
MAX_REASON: Final = 1000  # characters
_MAX_WANTED: Final = 10_000

_Name = Annotated[str, msgspec.Meta(pattern=rf"^(?:{NAME_PATTERN})$")]
_Address = Annotated[str, msgspec.Meta(pattern=rf"^(?:{ADDRESS_PATTERN})?$")]
_Word = Annotated[str, msgspec.Meta(max_length=128)]
_Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Wanted = Annotated[int, msgspec.Meta(ge=0, le=_MAX_WANTED)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]

REPORT_S: Final = 5.0  # at the longest between two reports of a box
LOST_S: Final = 15.0  # without a report, a box is taken for lost: two may go astray


class VariantReport(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a function at a box.

    Attributes:
        name: Of the variant.
        wanted: Replicas that the box's own scaler wants for what was called there.
        replicas: Ready ones.
        leases: Of these, how many a Ray cluster holds.
        refused: Why the box cannot serve it; empty if it can.
    """

    name: str
    wanted: int = 0
    replicas: int = 0
    leases: int = 0
    refused: str = ""


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

    name: str
    digest: str = ""
    state: FunctionState = "serving"
    reason: str = ""
    variants: tuple[VariantReport, ...] = ()
    calls: int = 0
    misses: int = 0


class LinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, as a box sees it. `rtt_s` is 0 where it is not known."""

    box: str
    tier: str
    up: bool
    rtt_s: float = 0.0


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

    box: str
    tier: str
    site: str
    version: str
    boot_id: str
    epoch: str = ""
    revision: int = 0
    address: str = ""
    has_ray: bool = False
    functions: tuple[FunctionReport, ...] = ()
    links: tuple[LinkReport, ...] = ()
    started_s: float = 0.0
