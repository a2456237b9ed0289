"""How the rate of calls at a site goes up and down: its integral, by which arrivals are rescaled.

Arrivals are drawn in ticks, in which their rate is constant, and each tick is then put at the
instant where the integrated relative rate reaches it. So a Gamma process keeps its coefficient of
variation while its rate changes.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy
from numpy.typing import NDArray

from edgefn.simulate.scenario import Bursts, FlashCrowd
from edgefn.simulate.spells import Spells

Floats = NDArray[numpy.float64]

_CELLS_PER_SWING: Final = 200  # within a cell the rate counts as constant


class Swing:
    """Up and down once in a period, around 1."""

    __slots__ = ("_period_s", "_phase", "_share")

    def __init__(self, share: float, period_s: float, phase: float) -> None:
        """Prepares one; `share` of the rate at most up and down, `phase` in radians."""
        self._share = share
        self._period_s = period_s
        self._phase = phase

    def edges(self, from_s: float, until_s: float) -> Floats:
        """Returns instants between which it is nearly constant."""
        if not self._share:
            return numpy.array([from_s, until_s])
        cells = math.ceil((until_s - from_s) / self._period_s * _CELLS_PER_SWING)
        return numpy.linspace(from_s, until_s, cells + 1)

    def integral(self, edges_s: Floats) -> Floats:
        """Returns its exact integral between each two edges."""
        lengths = numpy.diff(edges_s)
        if not self._share:
            return lengths
        turn = 2.0 * math.pi / self._period_s
        swings = numpy.diff(numpy.cos(turn * edges_s + self._phase))
        return lengths - self._share / turn * swings


class RateClock:
    """The integrated relative rate of one site, window by window.

    Attributes:
        edges_s: Instants of the present window.
        ticks: The integral there, from the very beginning.
    """

    __slots__ = ("_bursts", "_crowds", "_spells", "_swing", "edges_s", "ticks")

    def __init__(
        self,
        swing: Swing,
        bursts: Bursts | None,
        spells: Spells,
        crowds: Sequence[FlashCrowd],
    ) -> None:
        """Starts at 0.

        Args:
            swing: The day.
            bursts: How much the rate is multiplied by while a spell lasts.
            spells: When it bursts.
            crowds: Those that count for it.
        """
        self._swing = swing
        self._bursts = bursts
        self._spells = spells
        self._crowds = crowds
        self.edges_s: Floats = numpy.zeros(1)
        self.ticks: Floats = numpy.zeros(1)

    def advance(self, until_s: float) -> None:
        """Makes the next window, from where the last one ended."""
        from_s = float(self.edges_s[-1])
        changes = [(start, end, factor) for start, end, factor in self._changes(from_s, until_s)]
        breaks = [instant for start, end, _ in changes for instant in (start, end)]
        inside = [instant for instant in breaks if from_s < instant < until_s]
        edges = numpy.unique(numpy.concatenate((self._swing.edges(from_s, until_s), inside)))
        middles = (edges[:-1] + edges[1:]) / 2.0
        factors = numpy.ones(len(middles))
        for start, end, factor in changes:
            factors[(middles >= start) & (middles < end)] *= factor
        gained = numpy.cumsum(factors * self._swing.integral(edges))
        self.ticks = self.ticks[-1] + numpy.concatenate(([0.0], gained))
        self.edges_s = edges

    def _changes(self, from_s: float, until_s: float) -> list[tuple[float, float, float]]:
        changes = [(each.at_s, each.at_s + each.for_s, each.factor) for each in self._crowds]
        if self._bursts is not None:
            low, high = self._bursts.low, self._bursts.high
            for start, end, mark in self._spells.within(from_s, until_s):
                changes.append((start, end, low + (high - low) * mark))
        return changes

    def instants(self, ticks: Floats) -> Floats:
        """Returns when ticks of the present window are."""
        return numpy.interp(ticks, self.ticks, self.edges_s)
