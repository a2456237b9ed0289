"""Conditions on an answer: a tiny language, read by Python's parser and never run by it.

    score > 0.9 and not muted
    boxes[0].label == "person" or 10 <= temperature.oil < 90

There are fields (dotted, list indices, `name["key"]`), numbers, strings, `True`, `False`, `None`,
comparisons, `and`, `or`, `not` and parentheses. Whatever else Python can say is refused. A field
that an answer lacks is `None`, and a comparison that makes no sense is false: a condition never
fails.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import msgspec
import numpy as np

from edgefn_runtime.errors import EdgefnError

MAX_CHARS: Final = 500
MAX_DEPTH: Final = 20

_OPERATORS: Final[dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}


class InvalidExpression(EdgefnError):
    """A text that is no condition; the message says what of it."""

    code = "invalid_expression"


class Path(msgspec.Struct, frozen=True):
    """A field of an answer, a field or item of that, and so on."""

    parts: tuple[str | int, ...]

    def __str__(self) -> str:
        first, *rest = self.parts
        return str(first) + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest
        )

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Returns what stands there, or None."""
        found: Any = fields
        for part in self.parts:
            if isinstance(part, str):
                found = found.get(part) if isinstance(found, Mapping) else None
            else:
                found = _item(found, part)
        return found


class Literal(msgspec.Struct, frozen=True):
    """A number, a string, `True`, `False` or `None`."""

    constant: float | int | str | bool | None

    def value(self, fields: Mapping[str, Any]) -> Any:
        """Returns the constant."""
        return self.constant


Operand: TypeAlias = Path | Literal


class Truth(msgspec.Struct, frozen=True):
    """A field that is itself true or false."""

    path: Path

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether it is true."""
        value = self.path.value(fields)
        return isinstance(value, bool | np.bool_) and bool(value)


class Comparison(msgspec.Struct, frozen=True):
    """One or more comparisons in a row, as in `0 < x <= 1`."""

    operands: tuple[Operand, ...]
    signs: tuple[str, ...]
    functions: tuple[Callable[[Any, Any], Any], ...]

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether all of them hold."""
        left = self.operands[0].value(fields)
        for compare, operand in zip(self.functions, self.operands[1:], strict=True):
            right = operand.value(fields)
            try:
                if not compare(left, right):
                    return False
            except (TypeError, ValueError, OverflowError):  # no order, or a whole array
                return False
            left = right
        return True


class Negation(msgspec.Struct, frozen=True):
    """`not`."""

    part: "Condition"

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether the part does not hold."""
        return not self.part.holds(fields)


class Junction(msgspec.Struct, frozen=True):
    """`and`, or else `or`."""

    every: bool
    parts: tuple["Condition", ...]

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether every part holds, or one of them."""
        if self.every:
            return all(part.holds(fields) for part in self.parts)
        return any(part.holds(fields) for part in self.parts)


Condition: TypeAlias = Truth | Comparison | Negation | Junction


def parse(text: str) -> Condition:
    """Returns the condition that a text says.

    Raises:
        InvalidExpression: It says none, or uses more of Python than there is here.
    """
    if len(text) > MAX_CHARS:
        raise InvalidExpression(f"it has {len(text)} characters; at most {MAX_CHARS} may be")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be parsed"
        raise InvalidExpression(f"{text!r} is no condition: {reason}") from None
    return _Parser(text.strip()).condition(tree.body, 0)


def paths_of(condition: Condition) -> tuple[Path, ...]:
    """Returns the fields that a condition names, in order, each once."""
    found: dict[Path, None] = {}
    for part in comparisons_of(condition):
        operands = (part.path,) if isinstance(part, Truth) else part.operands
        found.update({each: None for each in operands if isinstance(each, Path)})
    return tuple(found)


def comparisons_of(condition: Condition) -> tuple[Truth | Comparison, ...]:
    """Returns what stands between the `and`, `or` and `not` of a condition."""
    if isinstance(condition, Negation):
        return comparisons_of(condition.part)
    if isinstance(condition, Junction):
        return tuple(leaf for part in condition.parts for leaf in comparisons_of(part))
    return (condition,)


class _Parser:
    """Turns what Python's parser read into a condition, or says what there is not."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, node: ast.expr, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            self._refuse(node, "is nested too deeply")
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = tuple(self.condition(value, depth + 1) for value in values)
                return Junction(isinstance(op, ast.And), parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Negation(self.condition(operand, depth + 1))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(node, [left, *comparators], ops)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return Truth(Path(self._parts(node, depth)))
        self._refuse(node, "is no condition; compare something, as in `score > 0.9`")

    def _comparison(
        self, node: ast.expr, operands: Sequence[ast.expr], ops: Sequence[ast.cmpop]
    ) -> Comparison:
        for op in ops:
            if type(op) not in _OPERATORS:
                signs = " ".join(sign for sign, _ in _OPERATORS.values())
                self._refuse(node, f"compares in a way that is not known; there are {signs}")
        signs, functions = zip(*(_OPERATORS[type(op)] for op in ops), strict=True)
        found = tuple(self._operand(operand) for operand in operands)
        if not any(isinstance(operand, Path) for operand in found):
            self._refuse(node, "names no field of the answer")
        return Comparison(found, signs, functions)

    def _operand(self, node: ast.expr) -> Operand:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return Literal(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return Literal(-value)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return Path(self._parts(node, 0))
        self._refuse(node, "is neither a field, a number nor a string")

    def _parts(self, node: ast.expr, depth: int) -> tuple[str | int, ...]:
        if depth > MAX_DEPTH:
            self._refuse(node, "is nested too deeply")
        match node:
            case ast.Name(id=name):
                return (name,)
            case ast.Attribute(value=value, attr=name):
                return (*self._parts(value, depth + 1), name)
            case ast.Subscript(value=value, slice=ast.Constant(value=str() | int() as key)):
                if not isinstance(key, bool):
                    return (*self._parts(value, depth + 1), key)
            case ast.Subscript(
                value=value, slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(key)))
            ):
                return (*self._parts(value, depth + 1), -key)
        self._refuse(node, 'is no field; write a name, `a.b`, `a[0]` or `a["b"]`')

    def _refuse(self, node: ast.expr, why: str) -> NoReturn:
        part = ast.get_source_segment(self._text, node) or self._text
        raise InvalidExpression(f"{part!r} {why}") from None


def _item(found: Any, index: int) -> Any:
    if isinstance(found, list | tuple) or (isinstance(found, np.ndarray) and found.ndim):
        return found[index] if -len(found) <= index < len(found) else None
    return None
