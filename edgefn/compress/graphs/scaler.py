"""Writes a Scaler as Sub and Mul, which every tool knows.

scikit-learn's StandardScaler becomes a Scaler of the domain ai.onnx.ml, and pipelines begin with
it. What reads the operators of ONNX alone would refuse the network behind it.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from edgefn.compress.graphs import onnx_model

if TYPE_CHECKING:
    import onnx

_ML_DOMAIN: Final = "ai.onnx.ml"
_OPSET: Final = 18  # where a model has no operator of ONNX yet


def without_scalers(model: "onnx.ModelProto") -> None:
    """Replaces the Scalers of a model's own graph, in place; the answers stay."""
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += _plain(model, node)
    if len(nodes) == len(model.graph.node):
        return
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    if not onnx_model.opset(model):
        model.opset_import.add(domain="", version=_OPSET)


def _plain(model: "onnx.ModelProto", node: "onnx.NodeProto") -> "list[onnx.NodeProto]":
    from onnx import TensorProto, helper, numpy_helper

    given = onnx_model.attributes(node)
    if (node.domain, node.op_type) != (_ML_DOMAIN, "Scaler") or given.keys() != {"offset", "scale"}:
        return [node]
    (source,), (result,) = node.input, node.output
    floats, centred, offset, scale = (
        f"{result}/{part}" for part in ("floats", "centred", "offset", "scale")
    )
    for name, key in ((offset, "offset"), (scale, "scale")):
        values = np.array(given[key], np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return [
        # A Scaler takes numbers of any type; simplifying removes what changes nothing.
        helper.make_node("Cast", [source], [floats], to=TensorProto.FLOAT),
        helper.make_node("Sub", [floats, offset], [centred]),
        helper.make_node("Mul", [centred, scale], [result]),
    ]
