"""Reads from a TFLite file what decides whether an old engine computes it rightly.

A TFLite file is a FlatBuffer: tables whose fields are found through a vtable of offsets. Only the
few fields that matter here are read, by their place in the schema (tensorflow/compiler/mlir/lite/
schema/schema.fbs).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edgefn_runtime.errors import LoadFailed

_FLOAT32: Final = 0
_UINT8: Final = 3
_INT8: Final = 9
_INT4: Final = 17

# Places of fields in their tables.
_MODEL_SUBGRAPHS: Final = 2
_SUBGRAPH_TENSORS: Final = 0
_SUBGRAPH_OPERATORS: Final = 3
_TENSOR_TYPE: Final = 1
_OPERATOR_INPUTS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a file keeps its weights.

    Attributes:
        hybrid: An operator takes float activations and 8-bit weights, and quantizes the
            activations while it runs (`dynamic range`).
        int4: It has 4-bit tensors.
    """

    hybrid: bool
    int4: bool


def read_quantization(data: bytes, file_name: str) -> Quantization:
    """Looks through all operators of a file.

    Raises:
        LoadFailed: It is cut short, or its offsets lead nowhere.
    """
    try:
        return _read(data)
    except (struct.error, IndexError) as error:
        raise LoadFailed(f"{file_name}: a broken TFLite file: {error}") from error


def _read(data: bytes) -> Quantization:
    hybrid = int4 = False
    model = _u32(data, 0)
    for subgraph in _tables(data, model, _MODEL_SUBGRAPHS):
        types = [
            _byte_field(data, tensor, _TENSOR_TYPE)
            for tensor in _tables(data, subgraph, _SUBGRAPH_TENSORS)
        ]
        int4 = int4 or _INT4 in types
        for operator in _tables(data, subgraph, _SUBGRAPH_OPERATORS):
            taken = {types[index] for index in _integers(data, operator, _OPERATOR_INPUTS)}
            hybrid = hybrid or (_FLOAT32 in taken and not taken.isdisjoint({_INT8, _UINT8, _INT4}))
    return Quantization(hybrid=hybrid, int4=int4)


def _u32(data: bytes, position: int) -> int:
    return int(struct.unpack_from("<I", data, position)[0])


def _field(data: bytes, table: int, place: int) -> int | None:
    """Returns where a field of a table is, or None where it has its default."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", data, vtable)
    entry = 4 + 2 * place
    if entry + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + entry)
    return table + offset if offset else None


def _vector(data: bytes, table: int, place: int) -> tuple[int, int]:
    """Returns the start and the length of a vector of 4-byte elements."""
    field = _field(data, table, place)
    if field is None:
        return 0, 0
    start = field + _u32(data, field)
    length = _u32(data, start)
    if start + 4 + 4 * length > len(data):
        raise IndexError(f"a vector of {length} elements reaches beyond the end")
    return start + 4, length


def _tables(data: bytes, table: int, place: int) -> Iterator[int]:
    start, length = _vector(data, table, place)
    for position in range(start, start + 4 * length, 4):
        yield position + _u32(data, position)


def _integers(data: bytes, table: int, place: int) -> Iterator[int]:
    """Yields the elements of a vector of i32, those left out that say `none` (-1)."""
    start, length = _vector(data, table, place)
    for value in struct.unpack_from(f"<{length}i", data, start):
        if value >= 0:
            yield value


def _byte_field(data: bytes, table: int, place: int) -> int:
    field = _field(data, table, place)
    return 0 if field is None else data[field]
