"""How many replicas there should be when leases hold some, and memory may be short. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgefn.box.leasing.ledger import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one variant should have.

    Attributes:
        wanted: That the box's own scaler wants, which has looked at the memory already.
        floor: That leases hold, or held a short while ago.
        memory_bytes: Of each replica; 0 if it is not known.
    """

    wanted: int
    floor: int
    memory_bytes: int


def counts(needs: Mapping[Key, Need], memory_bytes: int) -> dict[Key, int]:
    """Returns how many replicas each variant should have.

    That is what is wanted, or the floor if that is higher. If there is not memory enough for every
    floor, they are raised one replica after the other, so that none gets all of what there is.

    Args:
        needs: Of all variants of the box.
        memory_bytes: That replicas may have together; 0: no limit.
    """
    found = {key: need.wanted for key, need in needs.items()}
    used_bytes = sum(need.wanted * need.memory_bytes for need in needs.values())
    lacking = [key for key, need in needs.items() if need.floor > need.wanted]
    while lacking:
        for key in tuple(lacking):
            need = needs[key]
            fits = not memory_bytes or used_bytes + need.memory_bytes <= memory_bytes
            if not fits and need.memory_bytes:
                lacking.remove(key)
                continue
            found[key] += 1
            used_bytes += need.memory_bytes
            if found[key] == need.floor:
                lacking.remove(key)
    return found
