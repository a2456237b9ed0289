"""Whether this gateway, and each function behind it, can answer calls."""

import msgspec
from aiohttp import web

from edgefn.access.needs import Need
from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.connection import caller_of
from edgefn.gateway.function import Function
from edgefn.gateway.state import Gateway


async def healthz(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says that the process lives."""
    return json_answer(b'{"status":"ok"}')


async def readyz(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Says whether calls to all functions can be answered, and if not, why."""
    reasons = unready(gateway)
    told = reasons if Need.CALL in caller_of(request).allowed else []  # it names functions
    body = {"ready": not reasons, "reasons": told}
    return json_answer(msgspec.json.encode(body), status=503 if reasons else 200)


def is_ready(gateway: Gateway, function: Function) -> bool:
    """Whether a function has a replica, or is one that starts with its first call or elsewhere."""
    route = function.route
    if route.state != "serving":
        return False
    if not any(one.state == "available" for one in route.variants):
        return True  # it is for other boxes: none will ever be here, and calls are sent to those
    return route.spec.scale.min == 0 or gateway.dispatcher.has_replica(route.name)


def unready(gateway: Gateway) -> list[str]:
    """Returns why this gateway should get no calls; nothing if it should.

    A quarantined function is no reason: its calls are answered, and no other gateway does better.
    """
    dispatcher = gateway.dispatcher
    if not dispatcher.routed:
        return ["the gateway was not told yet what is deployed"]
    return [
        f"{name!r} has no replica yet"
        for name, function in dispatcher.functions.items()
        if function.route.state == "serving" and not is_ready(gateway, function)
    ]
