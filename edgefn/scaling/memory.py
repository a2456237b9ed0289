"""Which replicas stay when there is not enough memory for all.

Each has a worth: the calls that are expected to come soon, by how much the start of another replica
would hurt them, by the memory that it takes. The least worthy goes first. This is the greedy rule
for a knapsack, with the frequency, cost and size of Greedy-Dual-Size-Frequency (Cherkasova, 1998;
for functions: Fuerst and Sharma, "FaasCache", ASPLOS 2021); it needs no clock that ages what was
called often, because what is expected falls by itself when no calls come.
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
        calls: That are expected to come soon.
        hurt: The share of what these may wait that the start of a replica takes, 1 at most.
    """

    count: int
    kept: int
    memory_bytes: int
    calls: float
    hurt: float

    def worth(self, count: int) -> float:
        """Returns what the last of so many replicas is worth, by the memory that it takes."""
        return self.calls * self.hurt / (max(self.memory_bytes, 1) / _MB) / count


def fit(residents: Sequence[Resident], memory_bytes: int) -> list[int]:
    """Returns how many replicas each may have.

    Args:
        residents: All that want memory.
        memory_bytes: That they may have together.
    """
    counts = [each.count for each in residents]
    used = sum(each.count * each.memory_bytes for each in residents)
    while used > memory_bytes:
        may_go = [
            (each.worth(count), index)
            for index, (each, count) in enumerate(zip(residents, counts, strict=True))
            if count > each.kept and each.memory_bytes
        ]
        if not may_go:
            break
        _, index = min(may_go)
        counts[index] -= 1
        used -= residents[index].memory_bytes
    return counts
