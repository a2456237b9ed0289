"""JSON Schema in a few words, for a table."""

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 4


def type_text(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> str:
    """Returns what a value of this schema is, as a developer would call it.

    Args:
        schema: Of the value.
        root: The whole document, in which references are looked up.
        depth: How deep it lies; what lies very deep is not spelled out.
    """
    if depth > _MAX_DEPTH:
        return "..."
    if "$ref" in schema:
        return type_text(_target(schema["$ref"], root), root, depth + 1)
    if "x-edgefn-tensor" in schema:
        return str(schema.get("title", "tensor"))
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(type_text(option, root, depth + 1) for option in options)
    return _plain(schema, root, depth)


def _plain(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_text(schema.get('items', {}), root, depth + 1)}"
    if kind == "object":
        names = ", ".join(schema.get("properties", {}))
        return f"{{{names}}}" if names else "object"
    media = schema.get("contentMediaType")
    if media:
        return str(media)
    return str(schema.get("format") or kind or "any JSON")


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
