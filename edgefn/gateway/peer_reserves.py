"""What each peer of the next tier is asked to have ready for what this box may not do itself.

The next tier is the first one behind that of this box, in the order of the function, of which a
peer serves the same bundle. So what is asked for goes up from tier to tier, and never in a circle.
Pure.
"""

from collections.abc import Iterable

from edgefn.gateway.control import FunctionRoute
from edgefn.gateway.peer_relay import Reached
from edgefn.gateway.peer_wire import MAX_RESERVE, Greeting
from edgefn.scaling.reserve import dealt


def reserves_of(
    routes: Iterable[FunctionRoute], here: Greeting, peers: Iterable[Reached]
) -> dict[str, dict[str, int]]:
    """Returns how many replicas each peer is asked for, by box and function.

    Args:
        routes: All functions of this box.
        here: Who this box is.
        peers: That can be reached.
    """
    wanting = [route for route in routes if route.reserve]
    found: dict[str, dict[str, int]] = {}
    if wanting:
        reached = list(peers)
        for route in wanting:
            boxes = _next_tier(route, here.tier, reached)
            for box, count in dealt(route.reserve, route.name, here.box, boxes).items():
                if count:
                    found.setdefault(box, {})[route.name] = min(count, MAX_RESERVE)
    return found


def _next_tier(route: FunctionRoute, own: str, peers: list[Reached]) -> list[str]:
    """Returns the boxes of the next tier that serve a function; none, if there is no such tier."""
    tiers = route.spec.tiers
    for tier in tiers[tiers.index(own) + 1 :] if own in tiers else ():
        boxes = [peer.box for peer in peers if peer.tier == tier and _serves(peer, route)]
        if boxes:
            return boxes
    return []


def _serves(peer: Reached, route: FunctionRoute) -> bool:
    return any(
        one.name == route.name and one.digest == route.digest and one.variants
        for one in peer.summary.functions
    )
