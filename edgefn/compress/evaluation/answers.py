"""Compares answers: with labels, and with those of the models as given."""

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from edgefn.compress.errors import InvalidData

_FLOAT: Final = "a float"  # stands for any; no answer that is compared is an instance of a type
_TOLERANCE: Final = 1e-6


def plain(value: Any) -> Any:
    """Returns a value as builtins, so that it can be compared with another."""
    match value:
        case Enum():
            return plain(value.value)
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case BaseModel():
            return plain(value.model_dump())
        case Mapping():
            return {plain(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return plain(asdict(value))
        case _:
            return value


def matches(answer: Any, label: Any) -> bool:
    """Whether an answer is as its label says: all of it, or the fields that a mapping names.

    Args:
        answer: As `Signature.dump` returns it.
        label: The user's.

    Raises:
        InvalidData: The label names a field that the answer does not have.
    """
    found, wanted = plain(answer), plain(label)
    if not isinstance(wanted, dict):
        if isinstance(found, dict):
            raise _unnamed(found, wanted)
        return _equal(found, wanted)
    if not isinstance(found, dict) or not wanted.keys() <= found.keys():
        fields = sorted(found) if isinstance(found, dict) else f"no fields: {found!r:.80}"
        raise InvalidData(f"a label has the fields {sorted(wanted)}, but the answer has {fields}")
    return all(_equal(found[key], value) for key, value in wanted.items())


def _unnamed(found: Mapping[Any, Any], wanted: Any) -> InvalidData:
    alike = [name for name, value in found.items() if type(value) is type(wanted)]
    name = next(iter([*alike, *found]), "field")
    return InvalidData(
        f"a label is {wanted!r:.80}, but answers have the fields {sorted(found)}; name the field, "
        f"as in {{{name!r}: {wanted!r:.80}}}"
    )


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            _equal(found[key], value) for key, value in wanted.items()
        )
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_equal, found, wanted))
    if isinstance(found, float) or isinstance(wanted, float):
        numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
        return numbers and math.isclose(found, wanted, rel_tol=_TOLERANCE)
    return bool(found == wanted)


def decided(answer: Any) -> tuple[Any, bool]:
    """Returns an answer with its floats left out, and whether anything but floats was in it.

    What is left is what the function decided: strings, bools, integers, and how many of them.
    """
    return _without_floats(plain(answer))


def _without_floats(value: Any) -> tuple[Any, bool]:
    if isinstance(value, float):
        return _FLOAT, False
    if isinstance(value, dict):
        parts = {key: _without_floats(item) for key, item in value.items()}
        kept: Any = {key: part for key, (part, _) in parts.items()}
        return kept, any(discrete for _, discrete in parts.values())
    if isinstance(value, list):
        items = [_without_floats(item) for item in value]
        return [part for part, _ in items], any(discrete for _, discrete in items)
    return value, value is not None
