"""The ledger of leases: how many replicas of each variant are held, or were of late. Pure.

A lease that is lost (its holder died, or its machine's raylet, or the head of the cluster) counts
on for a while, longer than a Ray node needs to end itself and come back: the next lease of the same
variant takes its place. What is given back counts no longer. So the number below which a variant
must not fall is what is held plus what was lost of late; it is not changed by a loss, nor by the
take that follows it.
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LOST_HOLD_S: Final = 120.0  # a Ray node without its head gives up after 60 s

Key = tuple[str, str]  # function and variant


@dataclass(slots=True, kw_only=True)
class Held:
    """One lease that is held.

    Attributes:
        number: Unique for the life of the box.
        key: Function and variant.
        holder: Who has it, for people.
        replica: That it shows at the moment; empty: none, one is on its way.
    """

    number: int
    key: Key
    holder: str
    replica: str = ""


class Ledger:
    """Who holds what. Pure: time is handed in.

    Args:
        lost_hold_s: For how long a lost lease counts.
    """

    def __init__(self, lost_hold_s: float = LOST_HOLD_S) -> None:
        self._lost_hold_s = lost_hold_s
        self._numbers = itertools.count(1)
        self._held: defaultdict[Key, dict[int, Held]] = defaultdict(dict)
        self._lost_s: defaultdict[Key, deque[float]] = defaultdict(deque)  # when, oldest first

    def take(self, now_s: float, key: Key, holder: str) -> Held:
        """Adds a lease, in the place of the one that was lost first if any was."""
        self._forget_old(now_s, key)
        if self._lost_s[key]:
            self._lost_s[key].popleft()
        lease = Held(number=next(self._numbers), key=key, holder=holder)
        self._held[key][lease.number] = lease
        return lease

    def lose(self, now_s: float, lease: Held) -> None:
        """Takes note that a holder is gone; nothing for a lease that is no longer held."""
        if self._held[lease.key].pop(lease.number, None) is not None:
            self._lost_s[lease.key].append(now_s)

    def give_back(self, lease: Held) -> None:
        """Removes a lease; nothing for one that is no longer held."""
        self._held[lease.key].pop(lease.number, None)

    def forget_lost(self, function: str) -> None:
        """Forgets what was lost of a function that was removed."""
        for key in [key for key in self._lost_s if key[0] == function]:
            del self._lost_s[key]

    def held(self, key: Key) -> int:
        """Returns how many leases of a variant are held."""
        return len(self._held[key]) if key in self._held else 0

    def floor(self, now_s: float, key: Key) -> int:
        """Returns how many replicas of a variant there must be at least."""
        self._forget_old(now_s, key)
        return self.held(key) + len(self._lost_s[key])

    def bind(self, key: Key, replicas: Sequence[str]) -> frozenset[str]:
        """Says which replica each lease of a variant shows, and returns these.

        A lease keeps its replica as long as there is that; the others get, oldest first, the first
        that no lease shows.

        Args:
            key: Function and variant.
            replicas: That could be shown, the best first.
        """
        if key not in self._held:
            return frozenset()
        there, leases = set(replicas), self._held[key].values()
        shown = {lease.replica for lease in leases} & there
        free = (replica for replica in replicas if replica not in shown)
        for lease in leases:
            if lease.replica not in there:
                lease.replica = next(free, "")
        return frozenset(lease.replica for lease in leases if lease.replica)

    def _forget_old(self, now_s: float, key: Key) -> None:
        lost_s = self._lost_s[key]
        while lost_s and now_s - lost_s[0] >= self._lost_hold_s:
            lost_s.popleft()
