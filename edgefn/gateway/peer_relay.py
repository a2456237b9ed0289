"""What a box would send on to its peers, as it tells other peers: they may not reach each other.

A function that is for edge boxes alone is of use to an edge box that cannot run it only by way of a
box that both have dialled. What is offered is one choice for each tier, variant and function: where
a call goes from there is decided there, and then. Pure.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edgefn.gateway.peer_wire import OfferedFunction, OfferedVariant, Relay, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A peer to which calls can be sent on.

    Attributes:
        box: Its name.
        tier: Its tier.
        way_s: What a small call spends in the network there and back.
        summary: What it serves.
    """

    box: str
    tier: str
    way_s: float
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A function of which this box does not serve all.

    Attributes:
        digest: Of its bundle here: only the same one is of use.
        tiers: In which it may run.
        served: Variants that need no relay.
    """

    digest: str
    tiers: Collection[str]
    served: Collection[str]


_Key = tuple[str, str, str]  # tier, function, variant
_Offer = tuple[str, OfferedVariant]  # box, and what it has


class Relays:
    """What can be relayed at one moment.

    Args:
        lacking: By function; what is not in it is not relayed.
        peers: That can be reached.
    """

    def __init__(self, lacking: Mapping[str, Lacking], peers: Iterable[Reached]) -> None:
        self._lacking = lacking
        self._offers: defaultdict[_Key, list[_Offer]] = defaultdict(list)
        for peer in peers if lacking else ():
            self._add(peer)

    def offered_to(self, box: str) -> tuple[Relay, ...]:
        """Returns what a box is told: all but what it has itself."""
        found: defaultdict[str, defaultdict[str, list[OfferedVariant]]]
        found = defaultdict(lambda: defaultdict(list))
        for (tier, function, _), offers in self._offers.items():
            others = [variant for name, variant in offers if name != box]
            if others:
                found[tier][function].append(_joint(others))
        return tuple(
            Relay(
                tier,
                tuple(
                    OfferedFunction(name, self._lacking[name].digest, tuple(variants))
                    for name, variants in functions.items()
                ),
            )
            for tier, functions in found.items()
        )

    def _add(self, peer: Reached) -> None:
        for function in peer.summary.functions:
            wanted = self._lacking.get(function.name)
            if wanted is None or wanted.digest != function.digest or peer.tier not in wanted.tiers:
                continue
            for one in function.variants:
                if one.name not in wanted.served:
                    offer = OfferedVariant(
                        one.name, one.replicas, one.load_s, one.backlog_s, peer.way_s
                    )
                    self._offers[peer.tier, function.name, one.name].append((peer.box, offer))


def _joint(offers: list[OfferedVariant]) -> OfferedVariant:
    """Returns what several boxes are together: as near as the best of them, as many as all."""
    best = min(offers, key=_first_s)
    return OfferedVariant(
        best.name,
        sum(one.replicas for one in offers),
        best.load_s,
        best.backlog_s,
        best.beyond_s,
    )


def _first_s(one: OfferedVariant) -> float:
    return one.beyond_s + one.backlog_s + (0.0 if one.replicas else one.load_s)
