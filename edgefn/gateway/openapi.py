"""Describes the deployed functions as OpenAPI 3.1.

A function's JSON Schemas come with definitions of their own (`$defs`), which OpenAPI knows only
among its components: they are moved there, under names that carry the function's, and every
reference is rewritten. Only what is a schema is touched: a property may be called `$ref`, and an
example may contain one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from edgefn import __version__
from edgefn.gateway.control import FunctionRoute
from edgefn.gateway.statuses import STATUSES
from edgefn_runtime.manifest import FunctionSpec

_MAPS_OF_SCHEMAS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})
_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples", "required"})
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]")

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "detail"],
            "properties": {
                "code": {"type": "string", "enum": [*sorted(STATUSES), "internal"]},
                "message": {"type": "string"},
                "detail": {"type": "object"},
            },
        },
        "request_id": {"type": "string"},
    },
}
_CALL_FAILURES: Final = {
    400: "The input, or a header, does not fit.",
    404: "The function is not deployed any more, or has no such variant.",
    408: "The body did not come in time.",
    411: "Content-Length is missing.",
    413: "The body is too large.",
    415: "The body's type or encoding is not taken.",
    422: "No variant is as accurate as asked for.",
    429: "As many calls wait as may.",
    500: "The gateway failed.",
    502: "The function failed, or its replica was lost.",
    503: "The function cannot be called now.",
    504: "The deadline cannot be, or was not, met.",
}


class OpenApi:
    """The document, made once for each version of the routes."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._document = b""

    def document(self, version: int, routes: Sequence[FunctionRoute]) -> bytes:
        """Returns the document as JSON."""
        if version != self._version:
            self._document = msgspec.json.encode(describe(routes))
            self._version = version
        return self._document


def describe(routes: Sequence[FunctionRoute]) -> dict[str, Any]:
    """Returns the OpenAPI document of some functions."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths = _fixed_paths()
    for route in routes:
        for direction, schema in (("input", route.schema.input), ("output", route.schema.output)):
            _add_schema(schemas, f"{route.name}.{direction}", schema)
        paths[f"/v1/functions/{route.name}"] = _function_path(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edgefn",
            "version": __version__,
            "description": "The functions that are deployed on this box.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": _headers(),
            "parameters": _parameters(),
            "responses": {str(status): _failure(text) for status, text in _CALL_FAILURES.items()},
        },
    }


def _add_schema(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    """Adds a schema, and each of its definitions, to the components."""
    prefix = "#/components/schemas/"
    names: dict[str, str] = {}
    for keyword in sorted(_DEFINITIONS & schema.keys()):
        for definition in schema[keyword]:
            fit = f"{name}.{_UNFIT.sub('_', definition)}"
            while fit in names.values():
                fit += "_"
            names[f"#/{keyword}/{definition}"] = fit

    def moved(reference: str) -> str:
        if reference == "#":
            return prefix + name
        plain = unquote(reference).replace("~1", "/").replace("~0", "~")
        return prefix + names[plain] if plain in names else reference

    schemas[name] = _rewrite(schema, moved)
    for keyword in _DEFINITIONS & schema.keys():
        for definition, inner in schema[keyword].items():
            schemas[names[f"#/{keyword}/{definition}"]] = _rewrite(inner, moved)


def _rewrite(schema: Any, moved: Callable[[str], str]) -> Any:
    """Returns a schema without definitions, its references moved."""
    if isinstance(schema, list):
        return [_rewrite(one, moved) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DEFINITIONS:
            continue
        if key == "$ref" and isinstance(value, str):
            result[key] = moved(value)
        elif key in _VALUES:
            result[key] = value
        elif key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            result[key] = {name: _rewrite(inner, moved) for name, inner in value.items()}
        elif key == "discriminator" and isinstance(value, dict):
            mapping = value.get("mapping", {})
            result[key] = {**value, "mapping": {k: moved(v) for k, v in mapping.items()}}
        else:
            result[key] = _rewrite(value, moved)
    return result


def _function_path(route: FunctionRoute) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{route.name}.input"}
    content: dict[str, Any] = {
        "application/json": {"schema": schema},
        "application/msgpack": {},
        **{media_type: {} for media_type in route.schema.media_types},
    }
    name = _UNFIT.sub("_", route.name)
    post = {
        "operationId": f"call_{name}",
        "summary": route.spec.doc.partition("\n")[0],
        "description": f"{route.spec.doc}\n\n{_deadline_text(route.spec)}".strip(),
        "parameters": [{"$ref": f"#/components/parameters/{one}"} for one in _parameters()],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": _result(route.name),
            **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in _CALL_FAILURES
            },
        },
    }
    get = _get(f"describe_{name}", f"What {route.name} takes and gives.")
    get["responses"]["404"] = {"$ref": "#/components/responses/404"}
    return {"post": post, "get": get}


def _deadline_text(spec: FunctionSpec) -> str:
    """Returns what is said of the deadline, which is no parameter of the document.

    Tools that try out parameters would find that a microsecond is too short, and that the 504
    which says so is a server's error.
    """
    usual = "none" if spec.deadline_s is None else f"{spec.deadline_s * 1000:g}"
    return (
        "The request header Edgefn-Deadline-Ms says within how many milliseconds the answer is "
        f"wanted (default: {usual}); what cannot be answered in time is refused with 504."
    )


def _result(name: str) -> dict[str, Any]:
    return {
        "description": "The function's answer.",
        "headers": {one: {"$ref": f"#/components/headers/{one}"} for one in _headers()},
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{name}.output"}},
            "application/msgpack": {},
        },
    }


def _failure(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _fixed_paths() -> dict[str, Any]:
    ready = _get("readyz", "Whether calls to all functions can be answered.")
    ready["responses"]["503"] = {
        "description": "They cannot; the body says why.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    metrics = _get("metrics", "Metrics in the text format of Prometheus.")
    metrics["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    metrics["responses"]["503"] = {"$ref": "#/components/responses/503"}
    return {
        "/v1/functions": {"get": _get("functions", "The deployed functions.")},
        "/openapi.json": {"get": _get("openapi", "This document.")},
        "/healthz": {"get": _get("healthz", "Whether the process lives.")},
        "/readyz": {"get": ready},
        "/metrics": {"get": metrics},
    }


def _get(operation: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {
            "200": {
                "description": summary,
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    }


def _parameters() -> dict[str, Any]:
    def header(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "in": "header", "description": text, "schema": schema}

    return {
        "accuracy": header(
            "Edgefn-Min-Accuracy",
            "Accuracy, as it was measured, below which no variant may answer.",
            {"type": "number", "minimum": 0, "maximum": 1},
        ),
        "variant": header(
            "Edgefn-Variant",
            "Name of the variant that is to answer; default: the one that suits best.",
            {"type": "string", "maxLength": 63},
        ),
        "priority": header(
            "Edgefn-Priority",
            "The more urgent the higher; under overload the lower ones are refused first.",
            {"type": "integer", "minimum": 0, "maximum": 9},
        ),
        "source": header(
            "Edgefn-Source",
            "Of what the call tells, like a machine: the function's alerts are kept for each.",
            {"type": "string", "maxLength": 100},
        ),
        "idempotency_key": header(
            "Idempotency-Key",
            "Whatever its value, the call may run twice: after a loss, or to be in time.",
            {"type": "string", "maxLength": 128},
        ),
        "request_id": header(
            "X-Request-Id", "Comes back with the answer.", {"type": "string", "maxLength": 128}
        ),
    }


def _headers() -> dict[str, Any]:
    def header(text: str, **schema: Any) -> dict[str, Any]:
        return {"description": text, "schema": {"type": "string", **schema}}

    return {
        "Edgefn-Variant": header("The variant that answered."),
        "Edgefn-Tier": header("The tier of the box that answered."),
        "Edgefn-Box": header("The box that answered."),
        "Edgefn-Sla": header(
            "Whether the deadline was met, if there was one; degraded: at lower accuracy.",
            enum=["met", "missed", "degraded"],
        ),
        "Edgefn-Predicted-Ms": header("How long the answer was expected to take."),
        "Server-Timing": header(
            "Milliseconds in the queue, the function, a cold start, the network."
        ),
        "X-Request-Id": header("The request's id, the caller's own if it brought one."),
    }
