"""Readies an ONNX model for onnx2tf: every shape a number, and matrix products as it likes them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.simplify import simplified
from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import onnx

_BATCH: Final = "n"


def fixed(
    data: bytes,
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    *,
    free_batch: bool,
) -> bytes:
    """Returns a model that answers the same, for these shapes only.

    Args:
        data: An .onnx file.
        inputs: Name to shape.
        outputs: Name to shape.
        free_batch: Whether the first dimension of all of them is left free.

    Raises:
        RecipeFailed: It is no ONNX model, or cannot be simplified.
    """
    model = onnx_model.load(data)
    fed = onnx_model.fed_inputs(model)
    del model.graph.input[:]
    model.graph.input.extend(fed)
    del model.graph.value_info[:]
    for value in model.graph.input:
        _set_shape(value, inputs[value.name], free_batch)
    for value in model.graph.output:
        _set_shape(value, outputs[value.name], free_batch)
    model = simplified(model)
    fuse(model)
    return onnx_model.save(model)


def _set_shape(value: "onnx.ValueInfoProto", shape: Sequence[int], free_batch: bool) -> None:
    value.type.tensor_type.shape.Clear()
    for axis, size in enumerate(shape):
        dimension = value.type.tensor_type.shape.dim.add()
        if free_batch and axis == 0:
            dimension.dim_param = _BATCH
        else:
            dimension.dim_value = size


def fuse(model: "onnx.ModelProto") -> None:
    """Turns MatMul by a constant matrix, and an Add of a constant vector, into Gemm; in place.

    onnx2tf makes FULLY_CONNECTED of a Gemm, which has the fast kernels, and BATCH_MATMUL of a
    MatMul. Only where the left side is a matrix: Gemm knows no other.
    """
    with calling("onnx"):
        import onnx

        inferred = onnx.shape_inference.infer_shapes(model)
    values = (*inferred.graph.value_info, *inferred.graph.input)
    matrices = {value.name for value in values if len(value.type.tensor_type.shape.dim) == 2}
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    counts = onnx_model.users(model)
    reader = {name: node for node in model.graph.node for name in node.input}
    added: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[0] not in matrices:
            continue
        if len(weights := constants.get(node.input[1], ())) != 2:
            continue
        node.op_type = "Gemm"
        after = reader.get(node.output[0])
        if after is None or after.op_type != "Add" or counts[node.output[0]] != 1:
            continue
        bias = next((name for name in after.input if constants.get(name) == weights[1:]), None)
        if bias is not None:
            node.input.append(bias)
            node.output[0] = after.output[0]
            added.append(after)
    for node in added:
        model.graph.node.remove(node)
