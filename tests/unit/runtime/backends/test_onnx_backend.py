"""ONNX models in ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgefn_runtime.backends import load_model
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import ModelRunFailed

X = np.float32([[-1, 2, -3, 4]])


def test_describes_and_runs(onnx_model):
    """Inputs and outputs are described with free dimensions by name, and a run is a call."""
    model = load_model(onnx_model(), "m.onnx")
    assert [(info.name, info.dtype, info.shape) for info in model.inputs] == [
        ("x", "float32", ("n", 4))
    ]
    np.testing.assert_array_equal(model(X), [[0, 2, 0, 4]])
    np.testing.assert_array_equal(model(x=X), model(X))


@pytest.mark.parametrize("kind", ["read-only", "transposed", "strided", "empty"])
def test_takes_arrays_of_any_layout(onnx_model, kind):
    """Views, read-only arrays and empty batches are computed like plain ones."""
    model = load_model(onnx_model(), "m.onnx")
    plain = np.arange(-8, 8, dtype=np.float32).reshape(4, 4)
    array = {
        "read-only": np.frombuffer(plain.tobytes(), np.float32).reshape(4, 4),
        "transposed": plain.T,
        "strided": np.repeat(plain, 2, 0)[::2],
        "empty": plain[:0],
    }[kind]
    np.testing.assert_array_equal(model(array), np.maximum(array, 0))


@pytest.mark.parametrize("given", [np.int8, np.uint8, np.int16, np.float16, bool])
def test_converts_where_nothing_is_lost(onnx_model, given):
    """An array of a smaller type is converted to the input's."""
    model = load_model(onnx_model(), "m.onnx")
    assert model(np.ones((1, 4), given)).dtype == np.float32


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (X.astype(np.float64), "input 'x': expected float32, got float64"),
        (np.ones((1, 4), np.int64), "input 'x': expected float32, got int64"),
        (np.ones((1, 5), np.float32), r"input 'x': expected shape \[n, 4\], got \[1, 5\]"),
        (np.ones(4, np.float32), r"expected shape \[n, 4\], got \[4\]"),
        (np.array([["a"] * 4]), "expected float32, got <U1"),
    ],
)
def test_what_does_not_fit_is_named(onnx_model, array, said):
    """A wrong dtype or shape is refused by the input's name, with both."""
    with pytest.raises(ModelRunFailed, match=said):
        load_model(onnx_model(), "m.onnx")(array)


def test_a_run_that_fails_says_why():
    """A failure inside of the model is passed on in the engine's words."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("shape", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = load_model(made.SerializeToString(), "m.onnx")
    with pytest.raises(ModelRunFailed, match="the model failed"):
        model(np.ones(3, np.float32), np.array([7]))


def test_strings_are_taken(onnx_model):
    """A string tensor may be given as an array of text."""
    model = load_model(onnx_model("Identity", TensorProto.STRING, ["n"]), "m.onnx")
    assert model(np.array(["a", "bc"])).tolist() == ["a", "bc"]


def test_unnamed_dimensions_get_a_name(onnx_model):
    """A dimension without a name is free, too."""
    model = load_model(onnx_model(shape=(None, 4)), "m.onnx")
    assert model.inputs[0].shape == ("x_0", 4)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x08\x08", b"\x00" * 64])
def test_garbage_is_refused(data):
    """Bytes that are no model fail to load, with the file's name."""
    with pytest.raises(LoadFailed, match=r"m\.onnx: ONNX Runtime refuses the model"):
        load_model(data, "m.onnx")


def test_an_unknown_operator_is_refused(onnx_model):
    """A model that needs what this engine has not does not load."""
    with pytest.raises(LoadFailed, match="NoSuchOperator"):
        load_model(onnx_model("NoSuchOperator"), "m.onnx")


def test_only_tensors_go_in_and_out():
    """Maps and sequences, as scikit-learn exports make them, are refused with the way out."""
    sequence = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])], "g", [x], [sequence]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(LoadFailed, match="zipmap"):
        load_model(made.SerializeToString(), "m.onnx")


@pytest.mark.parametrize("place", ["initializer", "constant"])
def test_weights_in_other_files_are_refused(tmp_path, monkeypatch, place):
    """External data is not read, be it in the working directory and of the right size."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(bytes(16))
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    if place == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weights))
    graph = helper.make_graph(nodes, "g", [x], [y], [weights] if place == "initializer" else [])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(LoadFailed, match="keeps weights in another file"):
        load_model(made.SerializeToString(), "m.onnx")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.pkl", b"x" * 9, "neither an .onnx nor a .tflite"),
        ("m.tflite", b"x" * 9, "not a TFLite file"),
    ],
)
def test_other_files_are_refused(name, data, said):
    """The name decides the backend, and the bytes must agree."""
    with pytest.raises(LoadFailed, match=said):
        load_model(data, name)
