"""What a function's alerts see in one answer: two bits each, and the values worth telling.

The replica has the answer as Python values; whoever passes it on never decodes it. So the replica
evaluates the conditions and adds these marks to its reply. What they add up to over many answers
is not its business: it has seen only some of them.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from edgefn_runtime.expression import Negation, parse, paths_of
from edgefn_runtime.manifest import Alert

MAX_MARKS_BYTES: Final = 2048
MAX_VALUES: Final = 32
MAX_TEXT_CHARS: Final = 200

HOLDS: Final = 1
CLEARS: Final = 2
_BITS: Final = 2
_NOTHING: Final = msgspec.msgpack.encode({})
_ENCODER: Final = msgspec.msgpack.Encoder()


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """What the alerts of a function see in one answer.

    Attributes:
        rules: Of which alerts: `rules_of`. Replicas of another revision may have others.
        bits: For each alert, in the order of the spec, `HOLDS` if its `when` holds and `CLEARS` if
            its `clear` does; two bits each, the first alert's the lowest.
        values: Msgpack of the fields that an event tells: field to value.
    """

    rules: int
    bits: int
    values: msgspec.Raw = msgspec.Raw(_NOTHING)

    def of(self, index: int) -> int:
        """Returns the two bits of an alert."""
        return self.bits >> (_BITS * index) & (HOLDS | CLEARS)


def rules_of(alerts: tuple[Alert, ...]) -> int:
    """Returns a number that differs, all but surely, for different alerts."""
    return zlib.crc32(msgspec.json.encode(alerts))


class Marker:
    """Marks the answers of one function.

    Args:
        alerts: As in its spec, all fields filled.
        answers_object: Whether its answers have fields; else there is one, named `result`.

    Raises:
        InvalidExpression: A condition is none.
    """

    def __init__(self, alerts: tuple[Alert, ...], answers_object: bool) -> None:
        self._answers_object = answers_object
        self._rules = rules_of(alerts)
        whens = [parse(alert.when) for alert in alerts]
        self._pairs = [
            (when, Negation(when) if alert.clear is None else parse(alert.clear))
            for when, alert in zip(whens, alerts, strict=True)
        ]
        named = (path for pair in self._pairs for each in pair for path in paths_of(each))
        self._paths = {str(path): path for path in named}

    def marks(self, payload: Any) -> bytes:
        """Returns the marks of an answer, as replies carry them."""
        fields = payload if self._answers_object else {"result": payload}
        if not isinstance(fields, Mapping):
            return b""
        bits = 0
        for index, (when, clear) in enumerate(self._pairs):
            seen = HOLDS * when.holds(fields) | CLEARS * clear.holds(fields)
            bits |= seen << (_BITS * index)
        marks = _ENCODER.encode((self._rules, bits, self._values(fields)))
        if len(marks) > MAX_MARKS_BYTES:
            return _ENCODER.encode((self._rules, bits))
        return marks

    def _values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the conditions name, and then what else is small."""
        values = {text: _small(path.value(fields)) for text, path in self._paths.items()}
        for name, value in fields.items():
            if len(values) >= MAX_VALUES:
                break
            if name not in values and _is_scalar(value):
                values[name] = _small(value)
        return {name: value for name, value in values.items() if value is not None}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | np.generic)


def _small(value: Any) -> Any:
    """Returns a value as it is told, or None if it is nothing to tell."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return None
