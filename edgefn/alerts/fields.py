"""Checks the conditions of alerts against the JSON Schema of what the function answers.

What the schema leaves open (`Any`, a plain `dict`) is left open here too.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from edgefn.alerts.declaration import InvalidAlert
from edgefn_runtime.expression import (
    Comparison,
    Literal,
    Operand,
    Path,
    Truth,
    comparisons_of,
    parse,
)
from edgefn_runtime.manifest import Alert

_ANY: Final = frozenset({"number", "string", "boolean", "null", "object", "array"})
_SCALARS: Final = frozenset({"number", "string", "boolean", "null"})
_EQUALITY: Final = frozenset({"==", "!="})


def check_fields(
    alerts: tuple[Alert, ...], output: Mapping[str, Any], answers_object: bool
) -> None:
    """Checks that alerts name fields that answers have, and compare them with their like.

    Args:
        alerts: Of a spec.
        output: JSON Schema of an answer.
        answers_object: Whether its answers have fields; else there is one, named `result`.

    Raises:
        InvalidAlert: They do not.
    """
    fields = _Fields(output, answers_object)
    for alert in alerts:
        for field, text in (("when", alert.when), ("clear", alert.clear)):
            if text is not None:
                for part in comparisons_of(parse(text)):
                    _check(f"{field}={text!r}", part, fields)


class _Fields:
    """What a schema says of the fields of an answer."""

    def __init__(self, output: Mapping[str, Any], answers_object: bool) -> None:
        self._whole = output
        self._root: Mapping[str, Any] = (
            output if answers_object else {"type": "object", "properties": {"result": output}}
        )

    def types(self, where: str, path: Path) -> frozenset[str]:
        """Returns what may stand at a path: names of JSON types, `integer` counting as `number`."""
        parts = [self._root]
        for index, step in enumerate(path.parts):
            parts = [deeper for part in self._plain(parts) for deeper in _below(part, step)]
            if not parts:
                self._refuse(where, path, index)
        found = [_types_of(part) for part in self._plain(parts)]
        return frozenset().union(*found)

    def _plain(self, parts: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Returns schemas with references followed and alternatives side by side."""
        plain: list[Mapping[str, Any]] = []
        for part in parts:
            if "$ref" in part:
                name = part["$ref"].removeprefix("#/$defs/")
                plain += self._plain([self._whole.get("$defs", {}).get(name, {})])
            elif "anyOf" in part or "oneOf" in part:
                plain += self._plain(part.get("anyOf") or part["oneOf"])
            else:
                plain.append(part)
        return plain

    def _refuse(self, where: str, path: Path, index: int) -> NoReturn:
        step, before = path.parts[index], path.parts[:index]
        parts = [self._root]
        for earlier in before:
            parts = [deeper for part in self._plain(parts) for deeper in _below(part, earlier)]
        names = sorted({name for part in self._plain(parts) for name in part.get("properties", ())})
        near = difflib.get_close_matches(str(step), names, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
        what = f"{Path(before)} has" if before else "the answer has"
        raise InvalidAlert(f"{where}: {what} no {step!r}{hint if names else ''}")


def _below(part: Mapping[str, Any], step: str | int) -> list[Mapping[str, Any]]:
    """Returns the schemas of what stands one step below, none if nothing can."""
    if "type" not in part and "enum" not in part and "const" not in part:
        return [{}]
    if isinstance(step, str):
        if part.get("type") != "object":
            return []
        if step in part.get("properties", {}):
            return [part["properties"][step]]
        more = part.get("additionalProperties", "properties" not in part)
        return [more if isinstance(more, Mapping) else {}] if more else []
    if part.get("type") != "array":
        return []
    first = part.get("prefixItems", ())
    if 0 <= step < len(first):
        return [first[step]]
    items = part.get("items", not first)
    return [items if isinstance(items, Mapping) else {}] if items else []


def _types_of(part: Mapping[str, Any]) -> frozenset[str]:
    if "const" in part or "enum" in part:
        return frozenset(map(_type_of, part.get("enum", [part.get("const")])))
    told = part.get("type")
    if told is None:
        return _ANY
    return frozenset({"number" if told == "integer" else told})


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _check(where: str, part: Truth | Comparison, fields: _Fields) -> None:
    if isinstance(part, Truth):
        if "boolean" not in fields.types(where, part.path):
            raise InvalidAlert(
                f"{where}: {part.path} is not true or false; compare it, as in `{part.path} > 0.9`"
            )
        return
    types = [_operand_types(where, operand, fields) for operand in part.operands]
    for index, sign in enumerate(part.signs):
        left, right = types[index], types[index + 1]
        both = left & right & _SCALARS
        if not (both if sign in _EQUALITY else both - {"null", "boolean"}):
            shown = " and ".join(
                f"{_shown(operand)} ({' or '.join(sorted(kinds))})"
                for operand, kinds in zip(
                    part.operands[index : index + 2], (left, right), strict=True
                )
            )
            raise InvalidAlert(f"{where}: {shown} cannot be compared with {sign}")


def _operand_types(where: str, operand: Operand, fields: _Fields) -> frozenset[str]:
    if isinstance(operand, Literal):
        return frozenset({_type_of(operand.constant)})
    return fields.types(where, operand)


def _shown(operand: Operand) -> str:
    return repr(operand.constant) if isinstance(operand, Literal) else str(operand)
