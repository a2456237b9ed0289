"""The OpenAPI document, and example values."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from edgefn.gateway.control import FunctionRoute, VariantRoute
from edgefn.gateway.example import example_of
from edgefn.gateway.openapi import OpenApi, describe
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given

TREE: dict[str, Any] = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "$ref": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "pet": {
                    "oneOf": [{"$ref": "#/$defs/Cat[int]"}],
                    "discriminator": {"propertyName": "k", "mapping": {"c": "#/$defs/Cat[int]"}},
                },
            },
            "required": ["next"],
        },
        "Cat[int]": {"type": "object", "properties": {"k": {"const": "c"}}, "required": ["k"]},
        "Cat_int_": {"type": "integer"},
    },
    "type": "object",
    "properties": {
        "root": {"$ref": "#/$defs/Node"},
        "whole": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
        "data": {"default": {"$ref": "#/$defs/Node"}, "type": "object"},
        "$defs": {"$ref": "#/$defs/Cat_int_"},
    },
    "required": ["root", "$defs"],
    "additionalProperties": False,
}


def route(name: str, schema: dict[str, Any]) -> FunctionRoute:
    return FunctionRoute(
        name=name,
        revision=1,
        spec=FunctionSpec(name=name, doc="Says.\n\nMore."),
        schema=FunctionSchema(
            input=schema, output=schema, v2_inputs=(), v2_outputs=(), media_types=("image/png",)
        ),
        variants=(VariantRoute(variant=as_given({})),),
        default="python",
        replicas=(),
    )


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for inner in value.values() for one in references(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in references(inner)]
    return []


def test_definitions_become_components():
    """Every reference points to a component; names of functions and definitions do not collide."""
    schemas = describe([route("tree", TREE), route("other", TREE)])["components"]["schemas"]
    assert set(schemas) == {
        "Error",
        *(
            f"{function}.{direction}{definition}"
            for function in ("tree", "other")
            for direction in ("input", "output")
            for definition in ("", ".Node", ".Cat_int_", ".Cat_int__")
        ),
    }
    moved = schemas["tree.input"]["properties"]
    assert moved["root"] == {"$ref": "#/components/schemas/tree.input.Node"}
    assert moved["whole"]["anyOf"][1] == {"$ref": "#/components/schemas/tree.input"}
    node = schemas["tree.input.Node"]["properties"]
    assert node["pet"]["discriminator"]["mapping"]["c"] == node["pet"]["oneOf"][0]["$ref"]


def test_only_schemas_are_rewritten():
    """A property may be called like a keyword, and a default may look like a reference."""
    schemas = describe([route("tree", TREE)])["components"]["schemas"]
    moved = schemas["tree.input"]["properties"]
    assert moved["data"]["default"] == {"$ref": "#/$defs/Node"}
    assert moved["$defs"] in (
        {"$ref": "#/components/schemas/tree.input.Cat_int_"},
        {"$ref": "#/components/schemas/tree.input.Cat_int__"},
    )
    assert schemas["tree.input.Node"]["properties"]["$ref"] == {"type": "string"}


def test_no_reference_leads_nowhere():
    """All that the document refers to is in it."""
    document = json.loads(OpenApi().document(1, [route("tree", TREE), route("tree-2", {})]))
    for reference in references(document["paths"]) + references(document["components"]):
        if reference != "#/$defs/Node":  # the default value
            part: Any = document
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]


def test_the_document_is_made_once_for_each_version():
    """The same version of the routes gives the same bytes, and a new one new ones."""
    documents = OpenApi()
    first = documents.document(0, [])
    assert documents.document(0, [route("f", {})]) is first
    assert b"/v1/functions/f" in documents.document(1, [route("f", {})])


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {"type": "integer", "minimum": 3},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "string", "minLength": 7},
        {"type": "string", "maxLength": 2},
        {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "boolean"}},
        {"type": "array", "prefixItems": [{"const": 1}, {"type": "null"}]},
        {"type": ["string", "null"]},
        {"enum": ["a", "b"]},
        {"anyOf": [{"type": "object", "required": ["a"], "properties": {"a": {"default": 5}}}]},
        {},
    ],
)
def test_examples_fit_their_schema(schema):
    """A value made from a schema is valid by it."""
    value = example_of(schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    msgspec.json.encode(value)


def test_a_schema_without_a_finite_value_ends():
    """A definition that requires itself gives some value rather than none at all."""
    endless = {"$defs": {"N": {"type": "object", "required": ["n"], "properties": {"n": {}}}}}
    endless["$defs"]["N"]["properties"] = {"n": {"$ref": "#/$defs/N"}}
    assert isinstance(example_of({**endless, "$ref": "#/$defs/N"}), dict)
