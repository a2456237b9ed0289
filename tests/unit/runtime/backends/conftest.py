"""Tiny models, made on the spot: ONNX by its helper, TFLite by the schema that LiteRT ships."""

from collections.abc import Callable

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper

WEIGHTS = np.float32([[1, 2, 3, 4], [-4, -3, -2, -1]])
SCALE = 4 / 127


@pytest.fixture
def onnx_model() -> Callable[..., bytes]:
    """Makes an ONNX model of one operator from x to y."""

    def make(operator="Relu", dtype=TensorProto.FLOAT, shape=("n", 4), **attributes):
        graph = helper.make_graph(
            [helper.make_node(operator, ["x"], ["y"], **attributes)],
            "g",
            [helper.make_tensor_value_info("x", dtype, shape)],
            [helper.make_tensor_value_info("y", dtype, None)],
        )
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()

    return make


@pytest.fixture
def tflite_model() -> Callable[..., bytes]:
    """Makes a TFLite model of one fully connected layer, its weights kept in a given way."""
    return make_tflite


def _tensor(name, shape, kind, buffer, *, scale=None, free_batch=False):
    quantization = None
    if scale is not None:
        quantization = tfl.QuantizationParametersT(scale=[scale], zeroPoint=[0])
    signature = [-1, *shape[1:]] if free_batch else None
    return tfl.TensorT(
        shape=list(shape), type=kind, buffer=buffer, name=name, quantization=quantization,
        shapeSignature=signature, hasRank=True,
    )  # fmt: skip


def _pack(values, bits):
    flat = np.round(WEIGHTS / values).astype(np.int8).ravel()
    if bits == 8:
        return flat.tobytes()
    low, high = flat[0::2] & 0xF, flat[1::2] & 0xF
    return (low | (high << 4)).astype(np.uint8).tobytes()


def make_tflite(weights="float", *, free_batch=False, signature=False):
    """Returns a model [n, 4] -> [n, 2] that multiplies by `WEIGHTS`.

    Args:
        weights: `float`; `dynamic` (float activations, int8 weights); `int4` (the same, of four
            bits); `weight_only` (int8, dequantized by an operator of its own); `static` (int8
            activations too).
        free_batch: Whether n is free, else 1.
        signature: Whether inputs and outputs are named by a signature.
    """
    types = tfl.TensorType
    activation = types.INT8 if weights == "static" else types.FLOAT32
    kind = {"float": types.FLOAT32, "int4": types.INT4}.get(weights, types.INT8)
    scale = {"float": None, "int4": 4 / 7}.get(weights, SCALE)
    data = WEIGHTS.tobytes() if scale is None else _pack(scale, 4 if weights == "int4" else 8)
    io_scale = 1.0 if weights == "static" else None
    tensors = [
        _tensor("in", (1, 4), activation, 0, scale=io_scale, free_batch=free_batch),
        _tensor("w", (2, 4), kind, 1, scale=scale),
        _tensor("out", (1, 2), activation, 0, scale=io_scale, free_batch=free_batch),
    ]
    version = {"dynamic": 3, "static": 4, "int4": 10}.get(weights, 1)
    operators, codes = (
        [],
        [tfl.OperatorCodeT(9, None, version, tfl.BuiltinOperator.FULLY_CONNECTED)],
    )
    used = 1
    if weights == "weight_only":
        tensors.append(_tensor("wf", (2, 4), types.FLOAT32, 0))
        codes.append(tfl.OperatorCodeT(6, None, 2, tfl.BuiltinOperator.DEQUANTIZE))
        operators.append(tfl.OperatorT(1, [1], [3]))
        used = 3
    options = tfl.FullyConnectedOptionsT()
    layer = tfl.OperatorT(0, [0, used, -1], [2])
    layer.builtinOptionsType = tfl.BuiltinOptions.FullyConnectedOptions
    layer.builtinOptions = options
    operators.append(layer)
    graph = tfl.SubGraphT(tensors, [0], [2], operators, "main")
    model = tfl.ModelT(3, codes, [graph], "test", [tfl.BufferT(), tfl.BufferT(list(data))])
    if signature:
        ins, outs = [tfl.TensorMapT("window", 0)], [tfl.TensorMapT("scores", 2)]
        model.signatureDefs = [tfl.SignatureDefT(ins, outs, "serving_default", 0)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
