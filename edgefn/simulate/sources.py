"""Where the calls of one function at one site come from: drawn, or out of a trace."""

from typing import Final, Protocol

import numpy

from edgefn.simulate.rate import Floats, RateClock

_NOTHING: Final = numpy.zeros(0)
_MOST_AT_ONCE: Final = 65_536


class Source(Protocol):
    """The calls of one function at one site."""

    @property
    def site(self) -> int:
        """Index of the site."""

    @property
    def function(self) -> int:
        """Index of the function."""

    def take(self, until_s: float) -> tuple[Floats, Floats | None]:
        """Returns the next instants before `until_s`, ascending, and sizes if it knows them."""


class Renewals:
    """Gamma renewals in ticks of a clock, stationary from the start (their first gap is residual).

    The gaps of one process have shape `1 / cv²`: 1 is Poisson, less comes in clumps.
    """

    __slots__ = (
        "_ahead", "_clock", "_mean", "_next", "_rng", "_shape",
        "calls_per_tick", "function", "site",
    )  # fmt: skip

    def __init__(
        self,
        rng: numpy.random.Generator,
        clock: RateClock,
        *,
        site: int,
        function: int,
        calls_per_tick: float,
        cv: float,
    ) -> None:
        """Prepares one.

        Args:
            rng: Used by nothing else.
            clock: Advanced by whoever owns it before calls are taken.
            site: Index.
            function: Index.
            calls_per_tick: On average.
            cv: Coefficient of variation of the gaps.
        """
        self.site = site
        self.function = function
        self.calls_per_tick = calls_per_tick
        self._rng = rng
        self._clock = clock
        self._shape = 1.0 / cv**2
        self._mean = 1.0 / calls_per_tick
        # The gap that covers an instant is longer than others, and the instant is anywhere in it.
        covering = rng.standard_gamma(self._shape + 1.0) * self._mean / self._shape
        self._next = float(covering * rng.random())
        self._ahead: Floats = numpy.array([self._next])

    def take(self, until_s: float) -> tuple[Floats, Floats | None]:
        """See `Source`; `until_s` is where the clock's window ends."""
        until = float(self._clock.ticks[-1])
        if self._next >= until:
            return _NOTHING, None
        while self._ahead[-1] < until:
            self._draw(until)
        cut = int(numpy.searchsorted(self._ahead, until))
        taken, self._ahead = self._ahead[:cut], self._ahead[cut:]
        self._next = float(self._ahead[0])
        return self._clock.instants(taken), None

    def _draw(self, until: float) -> None:
        last = float(self._ahead[-1])
        expected = (until - last) / self._mean
        count = min(8 + int(1.1 * expected), _MOST_AT_ONCE)
        gaps = self._rng.standard_gamma(self._shape, count) * (self._mean / self._shape)
        self._ahead = numpy.concatenate((self._ahead, last + numpy.cumsum(gaps)))


class Recorded:
    """Calls out of a trace."""

    __slots__ = ("_at", "_instants_s", "_sizes", "function", "site")

    def __init__(
        self, instants_s: Floats, sizes: Floats | None, *, site: int, function: int
    ) -> None:
        """Takes instants, ascending, and the size of each call, if the trace has them."""
        self.site = site
        self.function = function
        self._instants_s = instants_s
        self._sizes = sizes
        self._at = 0

    def __len__(self) -> int:
        return len(self._instants_s)

    def take(self, until_s: float) -> tuple[Floats, Floats | None]:
        """See `Source`."""
        end = int(numpy.searchsorted(self._instants_s, until_s))
        begin, self._at = self._at, end
        return self._instants_s[begin:end], None if self._sizes is None else self._sizes[begin:end]
