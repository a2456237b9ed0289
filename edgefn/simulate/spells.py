"""Times in which something is in another state: bursts, bad networks, slow boxes."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import numpy

_BLOCK: Final = 16


class Spells:
    """Spells and the gaps between them, both exponential, drawn in order as far as needed.

    What is asked, and when, does not change what is drawn. It begins with a gap.

    Attributes:
        starts_s: When spells begin, ascending.
        ends_s: When they end.
        marks: One number of [0, 1) for each, to be made into whatever differs between them.
    """

    __slots__ = ("_every_s", "_for_s", "_rng", "ends_s", "marks", "starts_s")

    def __init__(self, rng: numpy.random.Generator, *, for_s: float, every_s: float) -> None:
        """Prepares spells.

        Args:
            rng: Used by nothing else.
            for_s: Mean length of a spell; 0: there are none.
            every_s: Mean length of the gaps between them; 0: there are none.
        """
        self._rng = rng
        self._for_s = for_s
        self._every_s = every_s
        self.starts_s: list[float] = []
        self.ends_s: list[float] = []
        self.marks: list[float] = []

    def reach(self, until_s: float) -> None:
        """Draws on until a spell begins after `until_s`."""
        if self._for_s <= 0.0 or self._every_s <= 0.0:
            return
        while not self.starts_s or self.starts_s[-1] <= until_s:
            gaps = self._rng.exponential(self._every_s, _BLOCK).tolist()
            lengths = self._rng.exponential(self._for_s, _BLOCK).tolist()
            self.marks += self._rng.random(_BLOCK).tolist()
            end_s = self.ends_s[-1] if self.ends_s else 0.0
            for gap_s, length_s in zip(gaps, lengths, strict=True):
                self.starts_s.append(end_s + gap_s)
                end_s += gap_s + length_s
                self.ends_s.append(end_s)

    def at(self, now_s: float) -> int:
        """Returns the index of the spell that lasts at an instant, or -1."""
        self.reach(now_s)
        index = bisect_right(self.starts_s, now_s) - 1
        return index if index >= 0 and now_s < self.ends_s[index] else -1

    def change_after(self, now_s: float) -> float:
        """Returns when the state that it is in at an instant ends; infinite: never."""
        index = self.at(now_s)
        if index >= 0:
            return self.ends_s[index]
        following = bisect_right(self.starts_s, now_s)
        return self.starts_s[following] if following < len(self.starts_s) else math.inf

    def within(self, from_s: float, until_s: float) -> Iterator[tuple[float, float, float]]:
        """Yields (start, end, mark) of the spells that touch a window, whole."""
        self.reach(until_s)
        first = max(bisect_right(self.starts_s, from_s) - 1, 0)
        for index in range(first, len(self.starts_s)):
            if self.starts_s[index] >= until_s:
                return
            if self.ends_s[index] > from_s:
                yield self.starts_s[index], self.ends_s[index], self.marks[index]
