"""Which replicas stay when there is not enough memory for all.

Greedy-dual (Young, 1994; for functions: Fuerst and Sharma, "FaasCache", ASPLOS 2021): each has a
worth, which is what it would cost to do without it, by the memory that this frees; the least worthy
goes first, and its worth is what all others have to exceed from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Replicas of one variant that are wanted.

    Attributes:
        count: How many.
        kept: How many of them stay in any case.
        memory_bytes: Of each; 0 if it is not known, and then all stay.
        chance: That it is called soon.
        boot_s: How long a call would have to wait if it was gone.
        credit: What the least worthy had when this one was called last.
    """

    count: int
    kept: int
    memory_bytes: int
    chance: float
    boot_s: float
    credit: float = 0.0

    def worth(self, count: int) -> float:
        """Returns what the last of so many replicas is worth, by the memory that it takes."""
        return self.credit + self.chance * self.boot_s / (self.memory_bytes / _MB) / count


def fit(residents: Sequence[Resident], memory_bytes: int) -> tuple[list[int], float]:
    """Returns how many replicas each may have, and what the last one that had to go was worth.

    Args:
        residents: All that want memory.
        memory_bytes: That they may have together.
    """
    counts = [each.count for each in residents]
    used = sum(each.count * each.memory_bytes for each in residents)
    worth = 0.0
    while used > memory_bytes:
        may_go = [
            (each.worth(count), index)
            for index, (each, count) in enumerate(zip(residents, counts, strict=True))
            if count > each.kept and each.memory_bytes
        ]
        if not may_go:
            break
        worth, index = min(may_go)
        counts[index] -= 1
        used -= residents[index].memory_bytes
    return counts, worth
