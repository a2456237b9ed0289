"""When what failed is tried again: soon, then with pauses that double. Pure."""

from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 16  # with more of them, a pause is as long as it gets anyway


def pause_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Returns the seconds to wait after so many failures in a row; none after none."""
    if failures < 1:
        return 0.0
    return min(first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest_s)


@dataclass(frozen=True, slots=True)
class _Tried:
    times: int
    until_s: float


class Patience:
    """Remembers what was tried, by name, and when it may be tried again."""

    def __init__(self, *, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._tried: dict[str, _Tried] = {}

    def may_try(self, name: str, now: float) -> bool:
        """Returns whether it is time."""
        tried = self._tried.get(name)
        return tried is None or now >= tried.until_s

    def tried(self, name: str, now: float) -> None:
        """Takes note of a try, of which it will be seen whether it failed."""
        before = self._tried.get(name)
        times = 1 if before is None else before.times + 1
        pause = pause_s(times, first_s=self._first_s, longest_s=self._longest_s)
        self._tried[name] = _Tried(times, now + pause)

    def keep(self, names: set[str]) -> None:
        """Forgets all others: they are well, or wanted no longer."""
        for name in self._tried.keys() - names:
            del self._tried[name]
