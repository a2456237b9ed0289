"""What a site's scaler asks of the next tier, on its way there, and what lower tiers ask of it.

The next tier is the next one in the order of the scenario whose sites this one calls.
"""

from collections.abc import Mapping

from edgefn.scaling.reserve import dealt
from edgefn.simulate.engine.fleet import Fleet
from edgefn.simulate.engine.peer import REPLY_BYTES, Peer
from edgefn.simulate.engine.site import Site


class Reserves:
    """Those of one site, in both directions."""

    def __init__(self, site: Site, fleet: Fleet) -> None:
        self._asked: dict[str, dict[str, int]] = {}  # by function, then by who asks
        self._site = site
        self._agenda = fleet.agenda
        self._told: dict[str, int] = {}
        self._next: dict[str, dict[str, Peer]] = {}  # by function, then by site
        above = fleet.tiers[fleet.tiers.index(site.tier) + 1 :]
        for function in fleet.functions:
            served = {tier for model in function.model.variants for tier in model.tiers}
            for tier in above:
                peers = [peer for peer in site.peers.values() if peer.other.tier == tier]
                if tier in served and peers:
                    self._next[function.name] = {peer.name: peer for peer in peers}
                    break

    def tell(self, now_s: float, reserve: Mapping[str, int]) -> None:
        """Tells the next tier what has changed."""
        for function, peers in self._next.items():
            count = reserve[function]
            if count == self._told.get(function, 0):
                continue
            self._told[function] = count
            for name, share in dealt(count, function, self._site.name, peers).items():
                peer = peers[name]
                trip_s = peer.there.trip_s(now_s, REPLY_BYTES, 0.0)
                self._agenda.at(now_s + trip_s, _heard, (peer.other, self._site, function, share))

    def asked(self, function: str, asker: str, replicas: int) -> None:
        """Takes what a site of a lower tier asks for."""
        self._asked.setdefault(function, {})[asker] = replicas

    def of(self, function: str) -> int:
        """Returns how many replicas lower tiers ask for, all together."""
        return sum(self._asked.get(function, {}).values())


def _heard(now_s: float, what: tuple[Site, Site, str, int]) -> None:
    there, asker, function, share = what
    if there.wakes is not None:
        there.wakes.asked(function, asker.name, share)
