"""What this box serves for its peers, and how long their calls would wait."""

import asyncio
import time
from collections import Counter
from math import inf

from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import FunctionRoute
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.peer_relay import Lacking
from edgefn.gateway.peer_wire import MAX_FORWARDS, OfferedFunction, OfferedVariant
from edgefn.routing.table import HERE
from edgefn_runtime.wire import Content


def offered_by(dispatcher: Dispatcher) -> tuple[OfferedFunction, ...]:
    """Returns all that this box would answer for peers now."""
    return tuple(
        OfferedFunction(
            function.route.name,
            function.route.digest,
            _variants(function.route, _backlogs(dispatcher, function.route)),
        )
        for function in dispatcher.functions.values()
        if function.route.digest and function.route.state == "serving"
    )


def lacking(dispatcher: Dispatcher) -> dict[str, Lacking]:
    """Returns the functions of which this box does not serve all, by name."""
    routes = [one.route for one in dispatcher.functions.values() if one.route.digest]
    return {
        route.name: Lacking(digest=route.digest, tiers=route.spec.tiers, served=served)
        for route in routes
        if len(served := _served(route)) < len(route.variants)
    }


def _served(route: FunctionRoute) -> frozenset[str]:
    if route.state != "serving":
        return frozenset()
    return frozenset(one.variant.name for one in route.variants if one.state == "available")


def _variants(route: FunctionRoute, backlog_s: dict[str, float]) -> tuple[OfferedVariant, ...]:
    replicas = Counter(replica.variant for replica in route.replicas)
    return tuple(
        OfferedVariant(
            name := one.variant.name, replicas[name], one.load_s, backlog_s.get(name, 0.0)
        )
        for one in route.variants
        if one.state == "available"
    )


def _backlogs(dispatcher: Dispatcher, route: FunctionRoute) -> dict[str, float]:
    """Returns how long a call would wait here for each variant that has a replica."""
    now_s = time.monotonic()
    asked = PendingCall(
        function=route.name,
        read_s=now_s,
        deadline_s=None,
        give_up_s=inf,
        timeout_s=route.spec.timeout_s,
        content=Content.JSON,
        accept=Content.JSON,
        aux=0,
        head=b"",
        answered=asyncio.get_running_loop().create_future(),
        hops=MAX_FORWARDS,
    )
    least_s: dict[str, float] = {}
    for one in dispatcher.explain(asked).candidates:
        if one.place == HERE and one.endpoint:
            wait_s = one.wait_ms / 1000.0
            least_s[one.variant] = min(wait_s, least_s.get(one.variant, inf))
    return least_s
