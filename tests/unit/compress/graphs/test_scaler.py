"""Scalers of scikit-learn's pipelines, written in operators that every tool knows."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.scaler import without_scalers
from edgefn.compress.recipe import Material, Source
from edgefn.compress.recipes.fp32 import Fp32

ROWS = np.array([[1, 2, 3], [-4, 5, 6]])


def scaling(kind: int, offset: list[float], **scale: list[float]) -> ModelProto:
    """A model of nothing but a Scaler."""
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=offset, **scale)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    opset = [helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(TensorProto.FLOAT, np.float32), (TensorProto.DOUBLE, np.float64), (TensorProto.INT64, int)],
)
@pytest.mark.parametrize(
    ("offset", "scale"), [([1.0, 2.0, 3.0], [0.5, 2.0, -1.0]), ([1.0], [0.25])]
)
def test_the_answers_stay(kind, dtype, offset, scale):
    """For numbers of each type, and one offset for all columns or one for each."""
    model = scaling(kind, offset, scale=scale)
    row = {"x": ROWS.astype(dtype)}
    (expected,) = onnx_model.answers(model.SerializeToString(), row)
    without_scalers(model)
    assert [node.op_type for node in model.graph.node] == ["Cast", "Sub", "Mul"]
    (found,) = onnx_model.answers(model.SerializeToString(), row)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


def test_what_a_tool_left_unsaid_stays_as_it_is():
    """A Scaler without a scale is for the runtime to make sense of."""
    model = scaling(TensorProto.FLOAT, [1.0])
    before = model.SerializeToString()
    without_scalers(model)
    assert model.SerializeToString() == before


def test_the_reference_has_none():
    """Nor a cast that changes nothing."""
    model = scaling(TensorProto.FLOAT, [1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0])
    row = {"x": ROWS.astype(np.float32)}
    made = Fp32().make(
        Source(data=onnx_model.save(model), format="onnx"), Material(rows=[row], outputs=[])
    )
    assert sorted(onnx_model.op_counts(onnx_model.load(made))) == ["Mul", "Sub"]
