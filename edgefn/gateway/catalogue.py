"""What is deployed, told to those who want to call it."""

from typing import Any, cast

import msgspec
from aiohttp import web

from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.connection import Connection, caller_of
from edgefn.gateway.control import FunctionRoute, VariantRoute
from edgefn.gateway.example import example_of
from edgefn.gateway.openapi import describe
from edgefn.gateway.state import Gateway

_CURL_BYTES = 2000


async def functions(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Lists the deployed functions."""
    listed = [_summary(route) for route in _visible(gateway, request)]
    return json_answer(msgspec.json.encode({"functions": listed}))


async def function(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Describes one function: what it takes and gives, and how to call it."""
    route = gateway.dispatcher.function(parameters[0]).route
    body = {
        **_summary(route),
        "variants": [_variant(route, one) for one in route.variants],
        "spec": route.spec,
        "schema": route.schema,
        "example": _example(route, _origin(request)),
    }
    return json_answer(msgspec.json.encode(body))


async def openapi_document(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Describes all functions as OpenAPI."""
    routes = _visible(gateway, request)
    if caller_of(request).functions:
        return json_answer(msgspec.json.encode(describe(routes)))
    return json_answer(gateway.openapi.document(gateway.dispatcher.version, routes))


def _visible(gateway: Gateway, request: web.BaseRequest) -> list[FunctionRoute]:
    caller = caller_of(request)
    functions = gateway.dispatcher.functions
    return [one.route for name, one in functions.items() if caller.may_call(name)]


def _summary(route: FunctionRoute) -> dict[str, Any]:
    return {
        "name": route.name,
        "doc": route.spec.doc,
        "revision": route.revision,
        "state": route.state,
        "reason": route.reason,
        "deadline_ms": route.spec.deadline_s and route.spec.deadline_s * 1000,
        "variants": [one.variant.name for one in route.variants],
        "replicas": len(route.replicas),
    }


def _variant(route: FunctionRoute, one: VariantRoute) -> dict[str, Any]:
    name = one.variant.name
    return {
        "name": name,
        "default": name == route.default,
        "state": one.state,
        "reason": one.reason,
        "replicas": sum(replica.variant == name for replica in route.replicas),
        "backend": one.variant.backend,
        "recipe": one.variant.recipe,
        "measured": one.variant.measured,
    }


def _origin(request: web.BaseRequest) -> str:
    """Returns where the caller found this box, as the beginning of a URL."""
    scheme = "https" if cast(Connection, request.protocol).is_secure else "http"
    return f"{scheme}://{request.headers.get('Host', '127.0.0.1:8080')}"


def _example(route: FunctionRoute, origin: str) -> dict[str, Any]:
    path = f"/v1/functions/{route.name}"
    url = f"{origin}{path}"
    if route.schema.media_types:
        kind = route.schema.media_types[0]
        curl = f"curl {url} -H 'Content-Type: {kind}' --data-binary @input"
        return {"method": "POST", "path": path, "content_type": kind, "curl": curl}
    body = example_of(route.schema.input)
    text = msgspec.json.encode(body).decode()
    data = "'" + text.replace("'", "'\\''") + "'" if len(text) <= _CURL_BYTES else "@input.json"
    curl = f"curl {url} -H 'Content-Type: application/json' -d {data}"
    return {
        "method": "POST",
        "path": path,
        "content_type": "application/json",
        "body": body,
        "curl": curl,
    }
