"""A small value that fits a JSON Schema, for documentation."""

from typing import Any, Final

_MAX_DEPTH: Final = 12  # of a schema that contains itself


def example_of(schema: dict[str, Any]) -> Any:
    """Returns a value that fits a schema as the SDK writes them, optional properties left out."""
    return _value(schema, schema, 0)


def _value(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return _value(_target(schema["$ref"], root), root, depth + 1)
    for told in ("const", "default"):
        if told in schema:
            return schema[told]
    for told in ("examples", "enum"):
        if schema.get(told):
            return schema[told][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return _value(schema[choice][0], root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    if kind == "string":
        return _string(schema)
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return False if kind == "boolean" else None


def _target(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part and isinstance(found, dict):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, dict) else {}


def _object(schema: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {
        name: _value(properties.get(name, {}), root, depth + 1)
        for name in schema.get("required", ())
    }


def _array(schema: dict[str, Any], root: dict[str, Any], depth: int) -> list[Any]:
    first = [_value(one, root, depth + 1) for one in schema.get("prefixItems", ())]
    items = schema.get("items")
    if not isinstance(items, dict):
        return first
    wanted = schema.get("minItems", 0 if schema.get("maxItems") == 0 else 1)
    rest = max(0, wanted - len(first))
    return first + [_value(items, root, depth + 1)] * rest


def _string(schema: dict[str, Any]) -> str:
    if schema.get("contentEncoding") == "base64":
        return "AAAA"
    text = "text"[: schema.get("maxLength", 4)]
    return text.ljust(schema.get("minLength", 0), "x")


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    step = 1 if whole else 0.5
    low = schema.get("minimum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    high = schema.get("maximum")
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    if low is not None and low > 0:
        return float(low) if not whole else int(low)
    if high is not None and high < 0:
        return float(high) if not whole else int(high)
    return 0 if whole else 0.0
