"""Matrix products with constant weights: find them, and write them in one way.

PyTorch exports a linear layer as Gemm (often transposed), others as MatMul and Add. What works on
weights wants to see MatMul with weights (inputs, outputs).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefn.compress.graphs.onnx_model import attributes, weights

if TYPE_CHECKING:
    import onnx

Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A MatMul whose second factor is constant.

    Attributes:
        index: Of its node in the graph.
        node: It.
        matrix: The constant, (inputs, outputs), float32.
    """

    index: int
    node: "onnx.NodeProto"
    matrix: Matrix


def products(model: "onnx.ModelProto", at_least: int) -> Iterator[Product]:
    """Yields the MatMul nodes with constant float32 matrices of so many elements or more."""
    from onnx import numpy_helper

    constants = _matrices(model)
    for index, node in enumerate(model.graph.node):
        if node.op_type == "MatMul" and (tensor := constants.get(node.input[1])) is not None:
            matrix = numpy_helper.to_array(tensor)
            if matrix.size >= at_least:
                yield Product(index=index, node=node, matrix=matrix)


def unfuse(model: "onnx.ModelProto") -> None:
    """Turns each Gemm that multiplies by a constant matrix into MatMul and Add, in place."""
    constants = _matrices(model)
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(model.graph.node):
        if node.op_type == "Gemm" and node.input[1] in constants:
            nodes += _unfused(model, node, f"unfused{index}", constants)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def share_of(model: "onnx.ModelProto", op_types: Collection[str], at_least: int) -> float:
    """Returns how much of the model's float32 weights some operators multiply by, 0 to 1.

    Args:
        model: Any.
        op_types: Of which the second input counts, where it is constant.
        at_least: Elements of a weight that counts.
    """
    from onnx import TensorProto

    sizes = {
        name: prod(tensor.dims)
        for name, tensor in weights(model).items()
        if tensor.data_type == TensorProto.FLOAT
    }
    used = {node.input[1] for node in model.graph.node if node.op_type in op_types}
    counted: int = sum(sizes[name] for name in used if sizes.get(name, 0) >= at_least)
    return counted / max(1, weight_count(model))


def weight_count(model: "onnx.ModelProto") -> int:
    """Returns the number of the model's float32 weights."""
    from onnx import TensorProto

    return sum(
        prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    )


def _matrices(model: "onnx.ModelProto") -> "dict[str, onnx.TensorProto]":
    from onnx import TensorProto

    return {
        name: tensor
        for name, tensor in weights(model).items()
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    }


def _unfused(
    model: "onnx.ModelProto",
    node: "onnx.NodeProto",
    name: str,
    constants: "Mapping[str, onnx.TensorProto]",
) -> "list[onnx.NodeProto]":
    from onnx import helper, numpy_helper

    how = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | attributes(node)
    bias = node.input[2] if len(node.input) > 2 else ""
    if how["transA"] or (bias and how["beta"] != 1.0):
        return [node]
    matrix = numpy_helper.to_array(constants[node.input[1]])
    matrix = np.ascontiguousarray(matrix.T if how["transB"] else matrix)
    # A copy of its own: other nodes may use the same weights the other way round.
    scaled = (matrix * np.float32(how["alpha"])).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(scaled, f"{name}/matrix"))
    target = f"{name}/product" if bias else node.output[0]
    product = helper.make_node("MatMul", [node.input[0], f"{name}/matrix"], [target], name)
    if not bias:
        return [product]
    return [product, helper.make_node("Add", [target, bias], node.output, f"{name}/bias")]
