"""The data of a function: drawn once, split, and known by their digest."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from edgefn.compress.errors import InvalidData
from edgefn_runtime.media import Audio, Image

# Which quarter is set aside is random: every fourth row would be of the same few classes where the
# classes take turns. Seeded, so that the same data are split in the same way.
_SEED: Final = 4
_EXPECTED: Final = (
    "a mapping of the function's parameters to values, as in {'x': 1.0}, or a pair of one and its "
    "label was expected"
)


@dataclass(frozen=True, slots=True)
class Row:
    """The inputs of one call, and what should be answered; None without labels."""

    inputs: Mapping[str, Any]
    label: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """All rows of a build.

    Attributes:
        evaluation: On which variants are judged.
        calibration: For calibration and fine-tuning; never judged on.
        labelled: Whether the rows of `evaluation` have labels.
    """

    evaluation: Sequence[Row]
    calibration: Sequence[Row]
    labelled: bool

    def digest(self) -> str:
        """Returns the SHA-256 over all rows, in hex.

        Raises:
            InvalidData: A value has no bytes that would be the same in the next run.
        """
        hashed = hashlib.sha256()
        for name, rows in (("evaluation", self.evaluation), ("calibration", self.calibration)):
            hashed.update(f"{name} {len(rows)}\n".encode())
            for row in rows:
                _feed(hashed.update, dict(row.inputs))
                _feed(hashed.update, row.label)
        return hashed.hexdigest()


def split(
    drawn: Sequence[Row], labelled: bool, calibration: Sequence[Row] | None, what: str = "evaluate="
) -> Data:
    """Returns the data, a random quarter set aside if there are none for calibration.

    Args:
        drawn: Rows to be judged on.
        labelled: Whether they have labels.
        calibration: Rows of their own for that, if there are any.
        what: Names the source in messages.

    Raises:
        InvalidData: There are too few to be split.
    """
    if calibration is not None:
        return Data(evaluation=drawn, calibration=calibration, labelled=labelled)
    if len(drawn) < 2:
        raise InvalidData(f"{what} yields one row only; give more, or calibrate= as well")
    aside = set(np.random.default_rng(_SEED).permutation(len(drawn))[: max(1, len(drawn) // 4)])
    return Data(
        evaluation=[row for place, row in enumerate(drawn) if place not in aside],
        calibration=[drawn[place] for place in sorted(aside)],
        labelled=labelled,
    )


def draw(
    items: Iterable[Any], limit: int, what: str, on_row: Callable[[int], None]
) -> tuple[list[Row], bool]:
    """Takes rows from what the user's code yields; returns them and whether they have labels.

    Args:
        items: `inputs`, or `(inputs, label)`.
        limit: Not more than that.
        what: Names the source in messages.
        on_row: Called with the number of rows after each.

    Raises:
        InvalidData: Something else came, some rows have labels and some none, or there are none.
    """
    rows: list[Row] = []
    labels = 0
    for item in items:
        pair = isinstance(item, tuple) and len(item) == 2
        inputs, label = item if pair else (item, None)
        if not isinstance(inputs, Mapping) or not all(isinstance(key, str) for key in inputs):
            came = f"a pair whose first is a {type(inputs).__name__}" if pair else _a(item)
            raise InvalidData(f"{what}: row {len(rows) + 1} is {came}; {_EXPECTED}")
        labels += pair
        rows.append(Row(inputs, label))
        on_row(len(rows))
        if len(rows) == limit:
            break
    if not rows:
        raise InvalidData(f"{what}: it yields no rows")
    if labels not in (0, len(rows)):
        raise InvalidData(f"{what}: {labels} of {len(rows)} rows have a label; all or none must")
    return rows, labels > 0


def _a(item: Any) -> str:
    size = f" of {len(item)}" if isinstance(item, list | tuple) else ""
    return f"a {type(item).__name__}{size}"


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    """Hands on bytes that two values share only if they are equal."""
    name = type(value).__name__
    match value:
        case None | bool() | int() | float() | str() | bytes():
            text = value if isinstance(value, bytes) else repr(value).encode()
            update(f"{name} {len(text)}:".encode() + text)
        case np.ndarray():
            if value.dtype.hasobject:
                _feed(update, value.tolist())
            else:
                update(f"array {value.dtype.str} {value.shape}:".encode() + value.tobytes())
        case np.generic():
            update(f"{value.dtype.str}:".encode() + value.tobytes())
        case Enum():
            _feed(update, value.value)
        case Image():
            _feed(update, value.pixels)
        case Audio():
            _feed(update, (value.rate_hz, value.samples))
        case BaseModel():
            _feed(update, value.model_dump())
        case Mapping():
            update(f"map {len(value)}:".encode())
            for key in sorted(value, key=repr):
                _feed(update, key)
                _feed(update, value[key])
        case list() | tuple():
            update(f"list {len(value)}:".encode())
            for item in value:
                _feed(update, item)
        case _ if is_dataclass(value) and not isinstance(value, type):
            _feed(update, {field.name: getattr(value, field.name) for field in fields(value)})
        case _:
            raise InvalidData(
                f"the data have a value of type {name}; use builtins, arrays, Image, Audio, "
                "dataclasses or pydantic models"
            )
