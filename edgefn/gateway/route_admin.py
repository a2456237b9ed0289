"""What the router would decide, and what it did: told to operators by the gateway itself."""

import time
from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from edgefn.errors import InvalidInput
from edgefn.gateway.admin import query_of
from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.call import PendingCall, instants
from edgefn.gateway.decision_log import KEPT
from edgefn.gateway.headers import MAX_DEADLINE_MS
from edgefn.gateway.state import Gateway
from edgefn.routing.choice import Choice
from edgefn_runtime.manifest import FunctionSpec
from edgefn_runtime.wire import MAX_BODY_BYTES, Content

_EXPLAIN: Final = ("deadline_ms", "size_bytes", "priority", "variant", "min_accuracy")
_DECISIONS: Final = ("function", "limit", "missed")


async def explain(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says what would be decided about a call now, of all candidates, and why."""
    return json_answer(explanation_of(gateway, parameters, query_of(request)))


async def decisions(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Lists the last calls of this gateway, with what had been predicted of them."""
    return json_answer(decisions_told(gateway, parameters, query_of(request)))


def explanation_of(
    gateway: Gateway, parameters: tuple[str, ...], query: Mapping[str, str]
) -> bytes:
    """Returns what would be decided about a call now, as JSON.

    Raises:
        EdgefnError: Nothing can be said of such a call.
    """
    _check_known(query, _EXPLAIN)
    spec = gateway.dispatcher.function(parameters[0]).route.spec
    explanation = gateway.dispatcher.explain(_call(gateway, spec, query))
    return msgspec.json.encode(explanation)


def decisions_told(
    gateway: Gateway, parameters: tuple[str, ...], query: Mapping[str, str]
) -> bytes:
    """Returns the last calls of this gateway, as JSON.

    Raises:
        InvalidInput: The query is not what is expected here.
    """
    _check_known(query, _DECISIONS)
    limit = int(_number(query, "limit", 50, most=KEPT))
    missed = bool(_number(query, "missed", 0, most=1))
    told = gateway.decisions.told(query.get("function", ""), limit, missed=missed)
    return msgspec.json.encode({"decisions": told})


def _call(gateway: Gateway, spec: FunctionSpec, query: Mapping[str, str]) -> PendingCall:
    now_s = time.monotonic()
    default_ms = 0.0 if spec.deadline_s is None else spec.deadline_s * 1000
    deadline_ms = _number(query, "deadline_ms", default_ms, most=MAX_DEADLINE_MS)
    deadline_s, give_up_s = instants(now_s, deadline_ms / 1000 or None, spec.timeout_s)
    variant = query.get("variant", "")
    min_accuracy = _number(query, "min_accuracy", 0.0, most=1)
    return PendingCall(
        function=spec.name,
        read_s=now_s,
        deadline_s=deadline_s,
        give_up_s=give_up_s,
        timeout_s=spec.timeout_s,
        content=Content.JSON,
        accept=Content.JSON,
        aux=0,
        head=b"",
        answered=gateway.loop.create_future(),
        choice=Choice(variant=variant, min_accuracy=min_accuracy)
        if variant or min_accuracy
        else None,
        size_bytes=int(_number(query, "size_bytes", 0, most=MAX_BODY_BYTES)),
        priority=int(_number(query, "priority", spec.priority, most=9)),
        idempotent=spec.idempotent,
    )


def _check_known(query: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in query:
        if name not in (*known, "box"):
            raise InvalidInput(f"unknown parameter {name[:40]!r}; there are {', '.join(known)}")


def _number(query: Mapping[str, str], name: str, default: float, *, most: float) -> float:
    told = query.get(name)
    if told is None:
        return default
    try:
        value = float(told)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InvalidInput(f"{name} must be a number from 0 to {most:g}, not {told[:40]!r}")
    return value
