"""ONNX models and TFLite files as LiteRT variants."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.compress.converter import client, environment
from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.fixed_shapes import fixed, fuse
from edgefn.compress.recipe import Material, RecipeFailed, Source
from edgefn.compress.recipes import litert as litert_module
from edgefn.compress.recipes.litert import litert_recipes
from edgefn.compress.recipes.runs import evenly, single_runs
from edgefn_runtime.backends import load_model

RECIPES = {recipe.kind: recipe for recipe in litert_recipes()}
needs_converter = pytest.mark.skipif(
    environment.installed() is None, reason="python -m edgefn.compress.converter installs it"
)


def rows(model, batches):
    """Returns rows of these numbers of inputs, at random."""
    (given,) = onnx_model.fed_inputs(model)
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim][1:]
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((n, *shape)).astype(np.float32)} for n in batches]


def snr_db(expected, found):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - found).sum())


def test_rows_are_taken_apart(make):
    """A batch of a function becomes single runs, each with what the model answers to it."""
    given = load_model(make.mlp().SerializeToString(), "m.onnx")
    batches = rows(make.mlp(), [1, 3, 2])
    runs = single_runs(given, batches, 100)
    assert (runs.inputs["x"].shape, runs.outputs["y"].shape) == ((6, 1, 64), (6, 1, 4))
    np.testing.assert_allclose(runs.outputs["y"][1:4, 0], given(batches[1]["x"]), rtol=1e-4)
    assert len(single_runs(given, batches, 2)) == 2


def test_rows_have_to_be_there_and_alike(make):
    """No data, data for another input, and shapes that vary are refused with what is wrong."""
    given = load_model(make.mlp().SerializeToString(), "m.onnx")
    with pytest.raises(RecipeFailed, match="give evaluate= or calibrate="):
        single_runs(given, [], 9)
    with pytest.raises(RecipeFailed, match="no data for the input 'x'"):
        single_runs(given, [{"z": np.zeros((1, 64), np.float32)}], 9)
    model = make.mlp()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "length"
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Relu", ["x"], ["y"]))
    free = load_model(model.SerializeToString(), "m.onnx")
    uneven = [{"x": np.zeros((1, size), np.float32)} for size in (2, 3)]
    with pytest.raises(RecipeFailed, match=r"free dimensions than the batch: .*\[1, 2\].*\[1, 3\]"):
        single_runs(free, uneven, 9)


def test_some_of_many_are_taken_evenly():
    """From first to last, and all if there are few."""
    assert evenly(range(9), 3) == [0, 4, 8]
    assert evenly("ab", 3) == ["a", "b"]


def test_products_become_fully_connected(make):
    """MatMul and Add of constants are one Gemm afterwards, and the answer is the same."""
    model = make.mlp()
    before = onnx_model.answers(model.SerializeToString(), rows(model, [3])[0])
    fuse(model)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm"]
    after = onnx_model.answers(model.SerializeToString(), rows(model, [3])[0])
    np.testing.assert_allclose(before[0], after[0], rtol=1e-4, atol=1e-5)


def test_only_matrices_are_fused(make):
    """A product of more dimensions, or a sum that is an output as well, stays as it is."""
    model = make.graph([("MatMul", ["x", "w"], ["y"], {})], [5, 8], w=make.normal(8, 4))
    fuse(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]


@pytest.mark.parametrize(("free", "batch"), [(True, "n"), (False, 1)])
def test_shapes_are_fixed(make, free, batch):
    """Every dimension is a number, but for the batch where that may stay free."""
    made = fixed(make.cnn().SerializeToString(), {"x": (1, 3, 8, 8)}, {"y": (1, 16)},
                 free_batch=free)  # fmt: skip
    model = load_model(made, "m.onnx")
    assert model.inputs[0].shape == (batch, 3, 8, 8)
    assert model.outputs[0].shape == (batch, 16)


def test_what_is_not_worth_trying(make):
    """Dynamic int8 of convolutions, a network without weights, and what is quantised already."""
    assert "convolutions" in RECIPES["int8-dynamic"].skip(make.source(make.cnn()))
    assert not RECIPES["int8-static"].skip(make.source(make.cnn()))
    relu = make.source(make.graph([("Relu", ["x"], ["y"], {})], [4]))
    assert "no layer with weights" in RECIPES["fp16"].skip(relu)
    assert not RECIPES["fp32"].skip(relu)
    assert "no ONNX model" in RECIPES["fp32"].skip(Source(data=b"x", format="onnx"))


def test_without_the_tools_it_says_how_to_get_them(tmp_path, monkeypatch):
    """One line, with the size."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert RECIPES["fp32"].missing() == (
        "needs the LiteRT converter: edgefn build --get-tools installs it "
        "(0.4 GB, in an environment of its own)"
    )


def test_a_wrong_conversion_is_refused(make, monkeypatch):
    """What the tools made is compared with the given model, and the error is in the message."""
    monkeypatch.setattr(
        client, "convert",
        lambda onnx, *, inputs, outputs: client.Made(
            data=b"", inputs=("x",), outputs={"y": np.ones((2, 1, 16), np.float32)}
        ),
    )  # fmt: skip
    material = Material(rows=rows(make.cnn(), [1, 1]), outputs=[])
    with pytest.raises(RecipeFailed, match="output 'y' differs by .* of its norm, .* at most"):
        litert_recipes()[0].make(make.source(make.cnn()), material)


@needs_converter
def test_a_perceptron_keeps_its_free_batch(make):
    """Every form answers nearly the same, for any number of rows, by the same names."""
    model, seen = make.mlp(), []
    given = load_model(model.SerializeToString(), "m.onnx")
    material = Material(rows=rows(model, [1, 2] * 20), outputs=[], on_progress=seen.append)
    (batch,) = rows(model, [5])
    sizes = {}
    for kind, least_db in (("fp32", 100), ("int8-static", 30), ("int8-dynamic", 35), ("int4", 15)):
        data = RECIPES[kind].make(make.source(model), material)
        made = load_model(data, "m.tflite")
        assert [info.name for info in (*made.inputs, *made.outputs)] == ["x", "y"]
        assert snr_db(given(**batch), made(**batch)) > least_db
        sizes[kind] = len(data)
    assert sizes["int4"] < sizes["int8-static"] < 0.4 * sizes["fp32"]
    assert seen == sorted(seen)


@needs_converter
def test_a_convolutional_network_takes_what_the_given_one_takes(make):
    """Its layout is as before, it runs row by row, and its integers are made the same way twice."""
    model = make.cnn()
    given = load_model(model.SerializeToString(), "m.onnx")
    material = Material(rows=rows(model, [1] * 20), outputs=[])
    data = RECIPES["int8-static"].make(make.source(model), material)
    made = load_model(data, "m.tflite")
    assert (made.inputs[0].shape, made.inputs[0].dtype) == ((1, 3, 8, 8), "float32")
    (batch,) = rows(model, [3])
    assert snr_db(given(**batch), made(**batch)) > 25
    again = {recipe.kind: recipe for recipe in litert_recipes()}["int8-static"]
    assert again.make(make.source(model), material) == data


@needs_converter
def test_a_tflite_file_is_quantised_once(make):
    """A file in floats is taken as it is; one in integers is refused."""
    model = make.mlp()
    material = Material(rows=rows(model, [1] * 16), outputs=[])
    floats = Source(data=RECIPES["fp32"].make(make.source(model), material), format="tflite")
    assert RECIPES["fp32"].make(floats, material) == floats.data
    small = RECIPES["int8-dynamic"].make(floats, material)
    assert len(small) < 0.4 * len(floats.data)
    with pytest.raises(RecipeFailed, match="is quantised already"):
        RECIPES["int8-static"].make(Source(data=small, format="tflite"), material)


@needs_converter
def test_two_inputs_and_outputs_keep_their_order():
    """Names and order of several inputs and outputs are those of the given model."""
    names = {"b": 6, "a": 4}
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", s]) for n, s in names.items()
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("z", "y")]
    weights = {f"w{n}": np.ones((s, 3), np.float32) * s for n, s in names.items()}
    nodes = [
        helper.make_node("MatMul", ["a", "wa"], ["y"]),
        helper.make_node("MatMul", ["b", "wb"], ["z"]),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 17)]
    data = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    row = {n: np.arange(s, dtype=np.float32)[None] for n, s in names.items()}
    made = litert_module.litert_recipes()[0].make(
        Source(data=data, format="onnx"), Material(rows=[row] * 3, outputs=[])
    )
    model = load_model(made, "m.tflite")
    assert [info.name for info in model.inputs] == ["b", "a"]
    assert [info.name for info in model.outputs] == ["z", "y"]
    np.testing.assert_allclose(model(**row)[0], row["b"] @ weights["wb"])
