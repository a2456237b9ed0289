"""A fixed small network, by whose speed two machines are compared.

Written as protobuf by hand, so that a box without the package `onnx` can run it, too. Its weights
are constants that ONNX Runtime fills in when it loads it: the file has 1 KiB, the network 0.4
million weights. What it computes means nothing; that its kernels are those of small vision and
sensor networks (a strided, a depthwise and a pointwise convolution, a wide linear layer) does.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

INPUT: Final = "x"
INPUT_SHAPE: Final = (1, 3, 64, 64)

_IR_VERSION: Final = 8
_OPSET: Final = 13
_FLOAT: Final = 1
_INT64: Final = 7
_ATTRIBUTE_INT: Final = 2
_ATTRIBUTE_TENSOR: Final = 4
_ATTRIBUTE_INTS: Final = 7


def reference_network() -> bytes:
    """Returns the network as an ONNX file."""
    nodes = [
        *_convolution("x", "a", (32, 3, 3, 3), stride=2),
        *_convolution("a", "b", (32, 1, 3, 3), group=32),
        *_convolution("b", "c", (64, 32, 1, 1)),
        *_convolution("c", "d", (64, 64, 3, 3), stride=2),
        _node("GlobalAveragePool", ["d"], "e"),
        _node("Flatten", ["e"], "f"),
        *_linear("f", "g", 64, 1024),
        *_linear("g", "y", 1024, 256),
    ]
    graph = b"".join(_message(1, node) for node in nodes)
    graph += _text(2, "reference") + _message(11, _value(INPUT, INPUT_SHAPE))
    graph += _message(12, _value("y", (1, 256)))
    opset = _message(8, _text(1, "") + _number(2, _OPSET))
    return _number(1, _IR_VERSION) + _message(7, graph) + opset


def _convolution(
    source: str, name: str, shape: tuple[int, int, int, int], *, stride: int = 1, group: int = 1
) -> Iterable[bytes]:
    pad = shape[2] // 2
    yield from _weights(f"{name}_w", shape)
    yield _node(
        "Conv",
        [source, f"{name}_w"],
        f"{name}_linear",
        _ints("strides", (stride, stride)),
        _ints("pads", (pad, pad, pad, pad)),
        _int("group", group),
    )
    yield _node("Relu", [f"{name}_linear"], name)


def _linear(source: str, name: str, rows: int, columns: int) -> Iterable[bytes]:
    yield from _weights(f"{name}_w", (rows, columns))
    yield _node("MatMul", [source, f"{name}_w"], name)


def _weights(name: str, shape: Sequence[int]) -> Iterable[bytes]:
    """Each weight is the reciprocal of the fan-in: the activations stay near the input's."""
    fan_in = shape[0] if len(shape) == 2 else shape[1] * shape[2] * shape[3]
    yield _node("Constant", [], f"{name}_shape", _tensor(shape, _INT64))
    filled = _tensor([1.0 / fan_in], _FLOAT)
    yield _node("ConstantOfShape", [f"{name}_shape"], name, filled)


def _node(operator: str, inputs: Iterable[str], output: str, *attributes: bytes) -> bytes:
    named = b"".join(_text(1, name) for name in inputs) + _text(2, output)
    return named + _text(4, operator) + b"".join(_message(5, each) for each in attributes)


def _tensor(values: Sequence[float], kind: int) -> bytes:
    raw = struct.pack(f"<{len(values)}{'q' if kind == _INT64 else 'f'}", *values)
    tensor = _number(1, len(values)) + _number(2, kind) + _message(9, raw)
    return _text(1, "value") + _message(5, tensor) + _number(20, _ATTRIBUTE_TENSOR)


def _int(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, _ATTRIBUTE_INT)


def _ints(name: str, values: Iterable[int]) -> bytes:
    numbers = b"".join(_number(8, value) for value in values)
    return _text(1, name) + numbers + _number(20, _ATTRIBUTE_INTS)


def _value(name: str, shape: Iterable[int]) -> bytes:
    dimensions = b"".join(_message(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT) + _message(2, dimensions)
    return _text(1, name) + _message(2, _message(1, tensor))


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
