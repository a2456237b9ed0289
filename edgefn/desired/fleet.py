"""What a hub tells operators of its fleet."""

from typing import Literal

import msgspec

from edgefn.desired.report import BoxReport


class FleetFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the fleet serves: its number on the hub, and on which tiers it may."""

    name: str
    revision: int
    digest: str
    tiers: tuple[str, ...] = ()


class FleetBox(msgspec.Struct, frozen=True, kw_only=True):
    """A box that is one of the fleet.

    Attributes:
        box: Its name.
        state: `lost` if it has not reported for a while; `expected` while the hub has not run for
            long enough to tell.
        since: When it started, or when it was heard of last, or, if it has not been heard of, when
            the hub started: ISO 8601 in UTC.
        is_hub: Whether it is the hub.
        report: What it told last; None: it has told nothing since the hub started.
    """

    box: str
    state: Literal["up", "expected", "lost"]
    since: str
    is_hub: bool = False
    report: BoxReport | None = None


class FleetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet, as its hub knows it.

    Attributes:
        hub: Name of the hub.
        epoch: Of the desired state.
        revision: Of the desired state.
        functions: All that the fleet should serve, by name.
        boxes: The hub first, then the others by name.
        ray: Address of the head of the Ray cluster; empty: there is none.
    """

    hub: str
    epoch: str
    revision: int
    functions: tuple[FleetFunction, ...] = ()
    boxes: tuple[FleetBox, ...] = ()
    ray: str = ""
