"""How long the network to a place takes: what was measured, and what is overdue there.

A call's share of the network is `fixed_s + bytes * each_s`, by least squares with exponential
forgetting, over calls and probes of different sizes. Two things are added to it:

A path that lets nothing through sends no samples, so that averages go on promising what they last
saw. Therefore what is overdue is evidence by itself (a censored observation): by how much the
oldest unanswered call or probe exceeds its bound counts as additional time, until something comes
back. And after two residuals in a row that are far off on the same side, most of the past is
forgotten at once: a path changes its state at an instant, it does not drift.
"""

from collections import deque
from math import inf
from typing import Final

from edgefn.routing.decisions import Send
from edgefn.routing.table import HERE, Place

HALF_LIFE_S: Final = 2.0
FORGET: Final = 0.97  # weight that a sample keeps at the next one
CHANGED: Final = 0.25  # and what all keep once the path has changed
LATE_S: Final = 0.010  # overdue by less than this is nothing
DOWN_S: Final = 1.0  # a probe unanswered for so long, or
DOWN_PROBES: Final = 3  # so many of them: nothing is sent there any more
FORGIVEN_S: Final = 5.0  # so long after it was sent, a lost call is no evidence any more
_FAR: Final = 2.0  # standard deviations
_GAIN: Final = 0.06  # of the variance
_MAX_EXCESS_S: Final = 0.1  # a sample counts for at most so much more than was expected
_MIN_VARIANCE: Final = 1e-8
_LEAST_SPREAD: Final = 1000.0**2  # square bytes, before what a byte costs is learned


class Path:
    """The network between this box and one place, there and back.

    Attributes:
        place: At its other end.
        here: Whether that is this box: then there is only what processes need to talk.
        fixed_s: Time that any call takes,
        each_s: and each of its bytes.
        base_s: `fixed_s` and what is overdue, as of the last `look`; infinite: it is down.
        variance: Of the time around that, in square seconds.
        looked_s: When the last `look` was, if it still holds: whoever reads `base_s` of a path to
            elsewhere looks first, unless it is now.
    """

    __slots__ = (
        "_calm",
        "_flights",
        "_lost_s",
        "_probe_bound_s",
        "_probe_s",
        "_probes_lost",
        "_residual",
        "_sampled_s",
        "_strikes",
        "_w",
        "_x",
        "_xx",
        "_xy",
        "_y",
        "base_s",
        "each_s",
        "fixed_s",
        "here",
        "looked_s",
        "place",
        "variance",
    )

    def __init__(self, place: Place, now_s: float) -> None:
        self.place = place
        self.here = place.name == HERE
        self.fixed_s = 0.0003 if self.here else 0.02
        self.each_s = 0.0
        self._residual = self.fixed_s * self.fixed_s
        self.base_s = self.fixed_s
        self.variance = self._residual
        self.looked_s = -inf
        self._w = self._x = self._y = self._xx = self._xy = 0.0
        self._sampled_s = now_s
        self._strikes = 0
        self._calm = self._residual
        self._lost_s = inf
        self._flights: deque[Send] = deque(maxlen=512)
        self._probe_s = inf
        self._probe_bound_s = inf
        self._probes_lost = 0

    @property
    def down(self) -> bool:
        """Whether nothing is to be sent there."""
        return self.base_s == inf

    def sent(self, send: Send) -> None:
        """Takes note of a call that leaves."""
        self._flights.append(send)

    def lost(self, send: Send) -> None:
        """Takes note of a call whose time is up: whether it got through is not known."""
        self.looked_s = -inf
        due_s = send.sent_s + send.bound_s
        if due_s < self._lost_s:
            self._lost_s = due_s

    def probe_sent(self, now_s: float) -> None:
        """Takes note of a probe; the one before it is lost if it was not answered."""
        if self._probe_s < inf:
            self.looked_s = -inf
            self._probes_lost += 1
            return  # the first one that is missing says since when
        self.looked_s = -inf
        self._probe_s = now_s
        self._probe_bound_s = self.fixed_s + 3.0 * self._residual**0.5

    def heard(self, now_s: float) -> None:
        """Takes note that something came back: what is overdue is so for another reason."""
        self._probe_s = self._lost_s = inf
        self._probes_lost = 0
        flights = self._flights
        while flights:
            oldest = flights[0]
            if oldest.ledger is not None and oldest.sent_s + oldest.bound_s > now_s:
                break
            flights.popleft()
        if self.base_s != self.fixed_s:
            self.look(now_s)

    def look(self, now_s: float) -> None:
        """Brings `base_s` and `variance` up to date."""
        self.looked_s = now_s
        late_s = 0.0
        flights = self._flights
        while flights:
            oldest = flights[0]
            if oldest.ledger is None or now_s - oldest.sent_s > FORGIVEN_S:
                flights.popleft()
                continue
            late_s = now_s - oldest.sent_s - oldest.bound_s
            break
        if self._lost_s < inf:
            if now_s - self._lost_s > FORGIVEN_S:
                self._lost_s = inf
            else:
                late_s = max(late_s, now_s - self._lost_s)
        if self._probe_s < inf:
            waited_s = now_s - self._probe_s
            if waited_s > DOWN_S or self._probes_lost >= DOWN_PROBES:
                self.base_s = inf
                return
            late_s = max(late_s, waited_s - self._probe_bound_s)
        if late_s > LATE_S:
            self.base_s = self.fixed_s + late_s + 2.0 * LATE_S
            self.variance = self._residual + 0.25 * late_s * late_s
        else:
            self.base_s = self.fixed_s
            self.variance = self._residual

    def learn(self, now_s: float, took_s: float, size_bytes: float) -> None:
        """Takes what one call or probe of `size_bytes` spent in the network."""
        if took_s < 0.0:
            took_s = 0.0
        expected_s = self.fixed_s + self.each_s * size_bytes
        residual_s = took_s - expected_s
        if residual_s > _MAX_EXCESS_S and residual_s > 2.0 * expected_s:
            residual_s = max(_MAX_EXCESS_S, 2.0 * expected_s)
            took_s = expected_s + residual_s
        squared = residual_s * residual_s
        keep, known = FORGET, 1.0 - _GAIN
        age_s = now_s - self._sampled_s
        if age_s > 0.02:  # less than that changes no weight by a per cent
            faded = 0.5 ** (age_s / HALF_LIFE_S)
            keep, known = keep * faded, known * faded
            self._sampled_s = now_s
        before = self._residual
        if squared <= _FAR * _FAR * before:
            self._strikes = 0
            self._calm = before
            residual = squared + known * (before - squared)
        elif self._struck(residual_s > 0.0):
            keep *= CHANGED
            residual = self._calm + 0.25 * (before - self._calm)
        else:
            residual = squared + known * (before - squared)
        self._residual = residual if residual > _MIN_VARIANCE else _MIN_VARIANCE
        self._fit(keep, took_s, size_bytes)

    def _struck(self, above: bool) -> bool:
        """Counts a residual that is far off; returns whether the last one was so too."""
        before = self._strikes
        self._strikes = 1 if above else -1
        return before == self._strikes

    def _fit(self, keep: float, took_s: float, size: float) -> None:
        self._w = w = self._w * keep + 1.0
        self._x = x = self._x * keep + size
        self._y = y = self._y * keep + took_s
        self._xx = xx = self._xx * keep + size * size
        self._xy = xy = self._xy * keep + size * took_s
        spread = w * xx - x * x
        each_s = self.each_s
        if w > 2.0 and spread > w * w * _LEAST_SPREAD:
            each_s = (w * xy - x * y) / spread
            self.each_s = each_s = each_s if each_s > 0.0 else 0.0
        fixed_s = (y - each_s * x) / w
        if fixed_s < 0.0:
            fixed_s = 0.0
            self.each_s = y / x
        if self.base_s == self.fixed_s:
            self.base_s = fixed_s
            self.variance = self._residual
        else:
            self.looked_s = -inf
        self.fixed_s = fixed_s
