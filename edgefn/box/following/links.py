"""Whom a box dials beside its hub. Pure."""

from collections.abc import Iterable
from typing import Final

from edgefn.desired.address import is_address
from edgefn.desired.state import Upstream

CLOUD: Final = "cloud"


def dialled(
    upstreams: Iterable[Upstream], *, box: str, tier: str, listens: bool
) -> tuple[str, ...]:
    """Returns the addresses that a box dials, in a fixed order.

    Calls go up: all dial the boxes of the cloud tier. Of two of these one dials the other, that
    whose name comes later; but one that listens nowhere can only dial. What is no address counts
    for nothing: the others are dialled all the same.

    Args:
        upstreams: Who can be dialled.
        box: Name of this one.
        tier: Of this one.
        listens: Whether others can dial this one.
    """
    waits = tier == CLOUD and listens
    return tuple(
        one.address
        for one in sorted(upstreams, key=lambda one: one.box)
        if one.tier == CLOUD and one.box != box and not (waits and one.box > box)
        if is_address(one.address)
    )
