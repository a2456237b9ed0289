"""Where calls wait for a replica to start."""

from collections.abc import Iterator
from math import inf

from edgefn.simulate.engine.call import Visit


class Lobby:
    """The calls of one gateway that wait."""

    __slots__ = ("_visits",)

    def __init__(self) -> None:
        self._visits: dict[str, list[Visit]] = {}

    def enter(self, now_s: float, visit: Visit, variant: str) -> None:
        """A call waits for a replica of a variant from now on."""
        visit.waits_since_s = now_s
        visit.waits_for = variant
        self._visits.setdefault(visit.function, []).append(visit)

    def leave(self, now_s: float, function: str) -> Iterator[Visit]:
        """Yields those of a function that still wait, each of which may enter again."""
        for visit in self._visits.pop(function, ()):
            if not visit.done:
                visit.waited_s += now_s - visit.waits_since_s
                visit.waits_since_s = inf
                yield visit

    def waiting(self, function: str, variant: str) -> int:
        """Returns how many wait for a replica of a variant."""
        visits = self._visits.get(function, ())
        return sum(one.waits_for == variant and not one.done for one in visits)
