"""Arrays with a declared dtype and shape: as an annotation, in a JSON or msgpack body, in a V2 one.

    Tensor["float32", 49, 10]      exactly 49 x 10
    Tensor["float32", "n", 10]     n is free; the same name must mean the same number in one call
    Tensor[np.uint8, "h", "w", 3]

In a body an array is either nested lists of numbers, or typed: a map `{"dtype", "shape", "data"}`
whose data are the little-endian bytes in row-major order (msgpack), those in base64, or a flat
list (JSON).
"""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn

import msgspec
import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

Array = np.ndarray[Any, Any]

MAX_RANK: Final = 8
# By name, never `np.dtype(what the caller sent)`: that would let in objects and structures.
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64",
    )
}  # fmt: skip
_NUMBERS: Final = {int, float, bool}
V2_DATATYPES: Final = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
DTYPE_OF_V2: Final = {datatype: name for name, datatype in V2_DATATYPES.items()}


# A caller's shape, bounded before anything is multiplied.
Dimensions = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=0, le=2**40)], ...], msgspec.Meta(max_length=MAX_RANK)
]


class TypedTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array in a body, with its dtype and shape beside its data."""

    dtype: str
    shape: Dimensions
    data: Any


def _refuse(message: str) -> NoReturn:
    raise PydanticCustomError("tensor", "{message}", {"message": message})


def array_from_bytes(dtype: str, shape: tuple[int, ...], data: bytes) -> Array:
    """Returns the array that `data` holds, without a copy, read-only.

    Args:
        dtype: One of `DTYPES`.
        shape: Its dimensions, within the bounds of `Dimensions`.
        data: Little-endian, row-major.

    Raises:
        PydanticCustomError: Unknown dtype, or a byte count that does not fit.
    """
    kind = DTYPES.get(dtype)
    if kind is None:
        _refuse(f"unknown dtype {dtype!r}; one of {', '.join(DTYPES)} was expected")
    expected_bytes = math.prod(shape) * kind.itemsize
    if len(data) != expected_bytes:
        _refuse(
            f"{dtype} {list(shape)} takes {expected_bytes} bytes, but {len(data)} came",
        )
    return np.frombuffer(data, dtype=kind).reshape(shape)


def array_from_typed(value: Mapping[str, Any]) -> Array:
    """Returns the array of a typed map of a JSON or msgpack body.

    Raises:
        PydanticCustomError: It is not `{"dtype", "shape", "data"}`, or they contradict each other.
    """
    try:
        typed = msgspec.convert(value, TypedTensor)
    except msgspec.ValidationError as error:
        _refuse(f"not a typed tensor {{dtype, shape, data}}: {error}")
    data = typed.data
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            _refuse(f"its data are not base64: {error}")
    if isinstance(data, bytes):
        return array_from_bytes(typed.dtype, typed.shape, data)
    if not isinstance(data, list):
        _refuse(f"its data are neither bytes nor a list, but {type(data).__name__}")
    kind = DTYPES.get(typed.dtype)
    if kind is None:
        _refuse(f"unknown dtype {typed.dtype!r}; one of {', '.join(DTYPES)} was expected")
    if len(data) != math.prod(typed.shape):
        _refuse(f"{list(typed.shape)} takes {math.prod(typed.shape)} numbers, but {len(data)} came")
    return array_from_lists(data, kind).reshape(typed.shape)


def array_from_lists(value: Any, kind: np.dtype[Any]) -> Array:
    """Returns nested lists of numbers as an array of `kind`.

    Raises:
        PydanticCustomError: Something in it is no number, the lists are ragged, or a number does
            not fit the dtype.
    """
    _check_leaves(value, kind)
    try:
        array = np.array(value)
    except (ValueError, OverflowError) as error:
        _refuse(f"its lists have different lengths: {error}")
    if array.size == 0:
        return np.empty(array.shape, kind)
    if array.dtype.kind not in "biuf":
        _refuse(f"expected numbers of {kind.name}, got one beyond 64 bits")
    if (array.dtype.kind == "b") != (kind.kind == "b"):
        _refuse(f"expected {kind.name}, got {'booleans' if array.dtype.kind == 'b' else 'numbers'}")
    if kind.kind in "iu":
        _check_integers(array, kind)
    with np.errstate(over="ignore"):
        converted = array.astype(kind)
    if kind.kind == "f" and not np.isfinite(converted).all():
        _refuse(f"a number is too large for {kind.name}")
    return converted


def _check_leaves(value: Any, kind: np.dtype[Any]) -> None:
    """Refuses what is no number before numpy sees it.

    One long string among ten thousand numbers would become ten thousand strings of its length.
    """
    if not isinstance(value, list):
        return
    types = set(map(type, value))
    if types == {list}:
        for inner in value:
            _check_leaves(inner, kind)
    elif not types <= _NUMBERS:
        if list in types and types - {list} <= _NUMBERS:
            _refuse("its lists have different lengths: numbers stand beside lists")
        stranger = next(item for item in value if type(item) not in {*_NUMBERS, list})
        _refuse(f"expected numbers of {kind.name}, got {stranger!r:.40}")


def _check_integers(array: Array, kind: np.dtype[Any]) -> None:
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        _refuse(f"expected whole numbers of {kind.name}, got a fraction")
    limits = np.iinfo(kind)
    low, high = array.min(), array.max()
    if low < limits.min or high > limits.max:
        _refuse(f"{low if low < limits.min else high} does not fit {kind.name}")


class TensorType:
    """The dtype and shape that `Tensor[...]` declares, and how values are held against them."""

    __slots__ = ("_exact_shape", "_kind", "dtype", "shape")

    def __init__(self, dtype: str, shape: tuple[int | str, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self._kind = DTYPES[dtype]
        self._exact_shape = None if any(isinstance(d, str) for d in shape) else shape

    def __repr__(self) -> str:
        dimensions = "".join(f", {dimension!r}" for dimension in self.shape)
        return f'Tensor["{self.dtype}"{dimensions}]'

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(str(dimension) for dimension in self.shape)}]"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorType):
            return NotImplemented
        return (self.dtype, self.shape) == (other.dtype, other.shape)

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape))

    def validate(self, value: Any) -> Array:
        """Returns `value` as an array of exactly this dtype and shape.

        Args:
            value: An array, nested lists, a number where the shape is empty, or a typed map.

        Raises:
            PydanticCustomError: It is something else, or of another dtype, rank or shape.
        """
        if isinstance(value, dict):
            array = array_from_typed(value)
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
        elif isinstance(value, list | int | float):
            array = array_from_lists(value, self._kind)
        else:
            _refuse(f"expected {self}, got {type(value).__name__}")
        if array.dtype != self._kind or array.shape != self._exact_shape:
            self._check(array)
        return array

    def _check(self, array: Array) -> None:
        fits = array.dtype == self._kind and len(array.shape) == len(self.shape)
        names: dict[str, int] = {}
        for came, wanted in zip(array.shape, self.shape, strict=False):
            fits = fits and came == (
                wanted if isinstance(wanted, int) else names.setdefault(wanted, came)
            )
        if not fits:
            _refuse(f"expected {self}, got {array.dtype.name} {list(array.shape)}")

    def named_dimensions(self, array: Array) -> dict[str, int]:
        """Returns what each free dimension is in an array that fits."""
        pairs = zip(self.shape, array.shape, strict=True)
        return {name: length for name, length in pairs if isinstance(name, str)}

    def v2_shape(self) -> tuple[int, ...]:
        """Returns the shape with -1 for free dimensions."""
        return tuple(d if isinstance(d, int) else -1 for d in self.shape)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            # Arrays stay arrays: the codec that writes the body knows how to spell them.
            serialization=core_schema.plain_serializer_function_ser_schema(lambda array: array),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        nested: dict[str, Any] = _item_schema(self._kind)
        for dimension in reversed(self.shape):
            bounds = (
                {"minItems": dimension, "maxItems": dimension} if isinstance(dimension, int) else {}
            )
            nested = {"type": "array", "items": nested, **bounds}
        return {
            **nested,
            "title": str(self),
            "description": (
                f"{self}: nested lists, or a map of dtype, shape and data "
                "(little-endian bytes, in JSON as base64)"
            ),
            "x-edgefn-tensor": {"dtype": self.dtype, "shape": list(self.shape)},
        }


def _item_schema(kind: np.dtype[Any]) -> dict[str, Any]:
    if kind.kind == "b":
        return {"type": "boolean"}
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
    largest = float(np.finfo(kind).max)
    return {"type": "number", "minimum": -largest, "maximum": largest}


class Tensor:
    """As an annotation, `Tensor[dtype, dimension, ...]`; the value is a read-only `np.ndarray`.

    A dimension is a number, or a name where it is free. Without dimensions it is one number.
    """

    def __class_getitem__(cls, parameters: Any) -> Any:
        dtype, *shape = parameters if isinstance(parameters, tuple) else (parameters,)
        return Annotated[np.ndarray, TensorType(_dtype_name(dtype), _checked_shape(shape))]


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, str):
        name = dtype
    else:
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = repr(dtype)
    if name not in DTYPES:
        raise TypeError(
            f"Tensor[{name!r}, ...]: unknown dtype; write one of {', '.join(DTYPES)} first, "
            'as in Tensor["float32", 49, 10]'
        )
    return name


def _checked_shape(shape: list[Any]) -> tuple[int | str, ...]:
    for dimension in shape:
        is_length = isinstance(dimension, int) and not isinstance(dimension, bool) and dimension > 0
        is_name = isinstance(dimension, str) and dimension.isidentifier()
        if not (is_length or is_name):
            raise TypeError(
                f"Tensor[..., {dimension!r}]: a dimension is a positive number, or a name where "
                'it is free, as in Tensor["float32", "n", 10]'
            )
    if len(shape) > MAX_RANK:
        raise TypeError(f"Tensor with {len(shape)} dimensions; at most {MAX_RANK} are allowed")
    return tuple(shape)
