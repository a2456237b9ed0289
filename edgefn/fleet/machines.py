"""The machines of a Ray cluster that an operator keeps, as Ray lists them. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from edgefn.config import is_name
from edgefn.errors import ConfigError

_HEAD: Final = "node:__internal_head__"  # the resource that Ray gives to the machine of its head
_NEEDED: Final = ("tier", "site")


class RayMachine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine.

    Attributes:
        id: That Ray gave it; another one each time that its Ray starts.
        address: Under which the others reach it.
        is_head: Whether Ray's head is there.
        box: Name of the box for it.
        tier: Of the box.
        site: Of the box.
    """

    id: str
    address: str
    is_head: bool
    box: str
    tier: str
    site: str


def machines_of(listed: Iterable[Mapping[str, Any]]) -> list[RayMachine]:
    """Returns those that are alive, that of the head first.

    Args:
        listed: What `ray.nodes()` returns.

    Raises:
        ConfigError: One has no labels by which leases find it, or two have one name.
    """
    found = [_machine(each) for each in listed if each["Alive"]]
    found.sort(key=lambda machine: (not machine.is_head, machine.box))
    if not found or not found[0].is_head:
        raise ConfigError("the Ray cluster has no machine with its head: it is about to end")
    for name, count in Counter(machine.box for machine in found).items():
        if count > 1:
            raise ConfigError(
                f"{count} machines of the Ray cluster are called {name}: give each a name of its "
                "own, with `ray start --labels box=NAME`"
            )
    return found


def _machine(listed: Mapping[str, Any]) -> RayMachine:
    labels: Mapping[str, str] = listed["Labels"]
    box = labels.get("box") or str(listed["NodeManagerHostname"])
    for label in _NEEDED:
        if not labels.get(label):
            raise ConfigError(
                f"Ray on the machine {box} has no label {label!r}, by which leases find it: start "
                "it with `ray start --labels tier=TIER,site=SITE`"
            )
    machine = RayMachine(
        id=str(listed["NodeID"]),
        address=str(listed["NodeManagerAddress"]),
        is_head=_HEAD in listed["Resources"],
        box=box,
        tier=labels["tier"],
        site=labels["site"],
    )
    for value in (machine.box, machine.tier, machine.site):
        if not is_name(value):
            raise ConfigError(
                f"{value!r}, of Ray on the machine {machine.address}, cannot be the name of a box, "
                "tier or site: letters, digits, dots, dashes or underscores, at most 63"
            )
    return machine
