"""What is in an ONNX model, and the same in fewer bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.recipe import RecipeFailed

WEIGHTS = np.arange(128, dtype=np.float32).reshape(16, 8)


def model(nodes, inputs=("x",), shape=("n", 16), output="y", **weights):
    graph = helper.make_graph(
        [helper.make_node(op, take, give, name=f"{op}-{give[0]}") for op, take, give in nodes],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def there_and_back():
    """Returns a product with a matrix and one with its transpose, each with a scale of its own."""
    return model(
        [
            ("MatMul", ["x", "w"], ["forward"]),
            ("Mul", ["forward", "scale"], ["scaled"]),
            ("MatMul", ["scaled", "wt"], ["backward"]),
            ("Mul", ["backward", "same_scale"], ["y"]),
        ],
        w=WEIGHTS, wt=WEIGHTS.T.copy(), scale=np.float32([2]), same_scale=np.float32([2]),
        unused=WEIGHTS,
    )  # fmt: skip


def test_says_what_is_in_a_model():
    """Operators, opset, free batch, and whether it is quantised."""
    found = onnx_model.load(onnx_model.save(there_and_back()))
    assert onnx_model.op_counts(found) == {"MatMul": 2, "Mul": 2}
    assert onnx_model.opset(found) == 17
    assert onnx_model.has_free_batch(found)
    assert not onnx_model.is_quantised(found)
    assert not onnx_model.has_free_batch(model([("Relu", ["x"], ["y"])], shape=(1, 16)))
    quantised = model([("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])])
    assert onnx_model.is_quantised(quantised)


def test_weights_in_another_file_are_refused():
    """A model is one file: its digest says what it is."""
    elsewhere = there_and_back()
    elsewhere.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(RecipeFailed, match="'w' are in another file; save the model as one"):
        onnx_model.load(elsewhere.SerializeToString())


def test_running_names_what_is_wrong():
    """A missing input and a model that does not load are the recipe's failure."""
    data = there_and_back().SerializeToString()
    with pytest.raises(RecipeFailed, match="no data for the input 'x'"):
        onnx_model.answers(data, {"z": WEIGHTS})
    with pytest.raises(RecipeFailed, match="NoSuchOperator"):
        onnx_model.answers(model([("NoSuchOperator", ["x"], ["y"])]).SerializeToString(), {})


def test_compacting_keeps_the_answers_and_the_interface():
    """Equal and transposed weights are stored once, unused ones not at all, names are short."""
    before, after = there_and_back(), there_and_back()
    after.doc_string = "a remark"
    after.metadata_props.add(key="pkg.torch.export", value="x" * 1000)
    after.metadata_props.add(key="refer_below", value="0.97")
    after.opset_import.add(domain="com.microsoft", version=1)
    compact(after)
    row = {"x": WEIGHTS[:3, :1] + np.zeros((3, 16), np.float32)}
    expected = onnx_model.answers(before.SerializeToString(), row)
    assert np.array_equal(expected, onnx_model.answers(after.SerializeToString(), row))
    assert len(after.SerializeToString()) < 0.6 * len(before.SerializeToString())
    assert [list(tensor.dims) for tensor in after.graph.initializer] == [[16, 8], [1]]
    assert [value.name for value in (*after.graph.input, *after.graph.output)] == ["x", "y"]
    assert [(entry.key, entry.value) for entry in after.metadata_props] == [("refer_below", "0.97")]
    assert [entry.domain for entry in after.opset_import] == [""]
    inner = {name for node in after.graph.node for name in node.output} - {"y"}
    assert all(len(name) == 1 for name in inner)


def test_short_names_never_meet_those_of_inputs():
    """An input that is called like the first short name keeps it to itself."""
    tight = model(
        [("Relu", ["a"], ["one"]), ("Neg", ["one"], ["two"]), ("Abs", ["two"], ["b"])],
        inputs=("a",), output="b",
    )  # fmt: skip
    compact(tight)
    row = {"a": -WEIGHTS.T.copy()}
    (answer,) = onnx_model.answers(tight.SerializeToString(), row)
    assert np.array_equal(answer, np.abs(np.maximum(row["a"], 0)))
    names = [name for node in tight.graph.node for name in node.output]
    assert len(set(names)) == len(names)


def test_names_around_a_subgraph_stay():
    """The bodies of If and Loop read the values around them by name."""
    body = helper.make_graph(
        [helper.make_node("Add", ["outer", "w"], ["inner"])], "body", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )  # fmt: skip
    branching = model([("Relu", ["x"], ["outer"])], w=WEIGHTS[:, 0], condition=np.array(True))
    branching.graph.node.append(
        helper.make_node("If", ["condition"], ["y"], then_branch=body, else_branch=body)
    )
    compact(branching)
    (answer,) = onnx_model.answers(branching.SerializeToString(), {"x": WEIGHTS[:, :1].T.copy()})
    assert np.array_equal(answer, np.maximum(WEIGHTS[:, :1].T, 0) + WEIGHTS[:, 0])


@pytest.mark.parametrize(
    ("expected", "found", "error"),
    [
        ([3, 4], [3, 4], 0),
        ([3, 4], [3, 9], 1),
        ([np.nan, np.inf, 2], [np.nan, np.inf, 2], 0),
        ([np.nan, 1], [0, 1], np.inf),
        ([1, 1], [np.inf, 1], np.inf),
        ([0, 0], [0, 1e-9], np.inf),
        ([1, 2], [1, 2, 3], np.inf),
    ],
)
def test_relative_error(expected, found, error):
    """The norm of the difference over that of the signal; anything that misfits is infinite."""
    both = np.float32(expected), np.float32(found)
    assert onnx_model.relative_error(*both) == pytest.approx(error)


@given(seed=st.integers(0, 50), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_made_up_rows_fit(seed, sizes):
    """Inputs of which nothing is known have the shape that the model asks for."""
    row = onnx_model.made_up_row(model([("Relu", ["x"], ["y"])], shape=("n", *sizes)), seed)
    assert row["x"].shape == (2, *sizes)
    assert row["x"].dtype == np.float32
