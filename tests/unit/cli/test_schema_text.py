"""JSON Schema in a few words."""

from typing import Any

import pytest

from edgefn.cli.schema_text import type_text

ROOT = {
    "$defs": {
        "Point": {"type": "object", "properties": {"x": {}, "y": {}}},
        "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    }
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number"}, "number"),
        ({}, "any JSON"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"type": "array"}, "list of any JSON"),
        ({"type": "object"}, "object"),
        ({"enum": ["a", "b"]}, "'a' | 'b'"),
        ({"const": 3}, "3"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "string", "contentMediaType": "image/png"}, "image/png"),
        ({"$ref": "#/$defs/Point"}, "{x, y}"),
        ({"$ref": "#/nowhere"}, "any JSON"),
        ({"type": "array", "title": "float32 [30]", "x-edgefn-tensor": {}}, "float32 [30]"),
    ],
)
def test_a_schema_is_called_what_a_developer_calls_it(
    schema: dict[str, Any], expected: str
) -> None:
    """References are followed, tensors have the name of their type."""
    assert type_text(schema, ROOT) == expected


def test_a_schema_that_holds_itself_ends() -> None:
    """Trees are not spelled out for ever."""
    assert type_text({"$ref": "#/$defs/Tree"}, ROOT).endswith("...")
