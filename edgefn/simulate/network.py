"""Networks between sites: noise, spikes, and the good and bad states of Gilbert and Elliott.

In a bad state trips take longer and rates are lower, or nothing comes through at all: messages then
wait until the outage has ended. Both directions of two sites share their states.
"""

import math
from typing import Final

from edgefn.simulate.fleet import Site, sites_of
from edgefn.simulate.scenario import LinkModel, Scenario
from edgefn.simulate.spells import Spells
from edgefn.simulate.streams import stream

_SCATTER: Final = 9973.0


class Trips:
    """One direction between two sites; an `edgefn.simulate.engine.ports.Path`."""

    __slots__ = (
        "_bytes_per_s",
        "_half_rtt_s",
        "_link",
        "_scale",
        "_sigma",
        "_spells",
        "_until_s",
        "_wait_until_s",
        "base_rtt_s",
    )

    def __init__(self, link: LinkModel, spells: Spells) -> None:
        """Starts in the good state.

        Args:
            link: As the file has it.
            spells: Its bad states.
        """
        self.base_rtt_s = link.rtt_s
        self._link = link
        self._spells = spells
        variance = math.log1p(link.cv**2)
        self._sigma = math.sqrt(variance)
        self._scale = math.exp(-variance / 2.0)  # so that the noise has mean 1
        self._enter(0.0)

    def _enter(self, now_s: float) -> None:
        """Finds out in which state it is now, and until when."""
        link, spells = self._link, self._spells
        index = spells.at(now_s)
        bad = index >= 0
        out = bad and spells.marks[index] < link.outage_share
        slow = bad and not out
        self._half_rtt_s = link.rtt_s / 2.0 * (link.bad_rtt_factor if slow else 1.0)
        self._bytes_per_s = (link.bad_bits_per_s if slow else link.bits_per_s) / 8.0
        self._wait_until_s = spells.ends_s[index] if out else 0.0
        self._until_s = spells.change_after(now_s)

    def trip_s(self, now_s: float, size_bytes: int, luck: float) -> float:
        """See `Path`."""
        if now_s >= self._until_s:
            self._enter(now_s)
        noise = math.exp(self._sigma * luck) * self._scale if self._sigma else 1.0
        # Digits of the luck that the noise hardly depends on: chance that is the same for all.
        if self._link.spike_share and abs(luck) * _SCATTER % 1.0 < self._link.spike_share:
            noise *= self._link.spike_factor
        trip_s = self._half_rtt_s * noise + size_bytes / self._bytes_per_s
        return trip_s if now_s >= self._wait_until_s else trip_s + self._wait_until_s - now_s

    def expected_s(self, now_s: float, size_bytes: int) -> float:
        """See `Path`."""
        if now_s >= self._until_s:
            self._enter(now_s)
        rest_s = max(self._wait_until_s - now_s, 0.0)
        return rest_s + self._half_rtt_s + size_bytes / self._bytes_per_s


class Links:
    """All paths of a scenario; an `edgefn.simulate.engine.ports.Network`."""

    def __init__(self, scenario: Scenario, *, seed: int) -> None:
        """Draws nothing yet: paths are made when they are asked for."""
        self._seed = seed
        self._sites = sites_of(scenario)
        self._links = {frozenset(each.between): each for each in scenario.links}

    def path(self, from_site: int, to_site: int) -> Trips | None:
        """See `Network`."""
        link = self._link(self._sites[from_site], self._sites[to_site])
        if link is None:
            return None
        pair = sorted((from_site, to_site))
        spells = Spells(
            stream(self._seed, "network", *pair), for_s=link.bad_for_s, every_s=link.bad_every_s
        )
        return Trips(link, spells)

    def _link(self, one: Site, other: Site) -> LinkModel | None:
        return self._links.get(frozenset((one.model.tier, other.model.tier)))


def network_of(scenario: Scenario, *, seed: int) -> Links:
    """Returns the network of a run; equal arguments give equal trips."""
    return Links(scenario, seed=seed)
