"""8-bit weights, with activations quantised at run time or beforehand."""

import numpy as np
import pytest
from onnx import numpy_helper

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.prepare import prepared
from edgefn.compress.recipe import Material, RecipeFailed, Source
from edgefn.compress.recipes.int8_dynamic import Int8Dynamic
from edgefn.compress.recipes.int8_static import Int8Static, left_in_floats


def test_dynamic_quantises_linear_layers(make):
    """MatMul and Gemm become products of integers."""
    model = make.mlp()
    made = Int8Dynamic().make(make.source(model), make.material(model))
    assert make.ops(made)["MatMulInteger"] == 2
    assert not {"MatMul", "Gemm"} & set(make.ops(made))
    assert make.snr_db(model, made) > 28
    assert len(made) < 0.4 * len(model.SerializeToString())


def test_dynamic_never_quantises_a_convolution(make):
    """A model of convolutions is skipped with the reason; in a mixed one they stay floats."""
    assert "linear layer" in Int8Dynamic().skip(make.source(make.cnn()))
    mixed = make.graph(
        [
            ("Conv", ["x", "k"], ["c"], {}),
            ("Flatten", ["c"], ["f"], {}),
            ("MatMul", ["f", "w"], ["y"], {}),
        ],
        [3, 4, 4],
        k=make.normal(16, 3, 3, 3), w=make.normal(64, 16),
    )  # fmt: skip
    made = Int8Dynamic().make(make.source(mixed), make.material(mixed))
    assert make.ops(made)["Conv"] == 1
    assert "ConvInteger" not in make.ops(made)


def test_linear_layers_that_are_a_small_part_are_not_worth_it(make):
    """With nearly all weights in convolutions only the answers would change."""
    assert Int8Dynamic().skip(make.source(make.shipped("voice"))) == (
        "only 6% of its weights are in linear layers"
    )


def test_static_quantises_convolutions_and_what_is_between(make):
    """Convolutions, their residual sum and pooling are in integers; other arithmetic is not."""
    model = make.cnn()
    made = onnx_model.load(Int8Static().make(make.source(model), make.material(model)))
    by_output = {name: node for node in made.graph.node for name in node.output}
    for node in made.graph.node:
        if node.op_type in ("Conv", "Add", "GlobalAveragePool"):
            assert by_output[node.input[0]].op_type == "DequantizeLinear", node.op_type
    (product,) = [node for node in made.graph.node if node.op_type == "Mul"]
    (result,) = made.graph.output
    assert by_output[result.name] is product
    assert make.snr_db(model, made.SerializeToString()) > 30


def test_weights_use_seven_bits(make):
    """Products of 8 bits saturate on x86 without VNNI: the result is the same on all machines."""
    model = make.mlp()
    for recipe in (Int8Dynamic(), Int8Static()):
        made = onnx_model.load(recipe.make(make.source(model), make.material(model)))
        matrices = [numpy_helper.to_array(t) for t in made.graph.initializer if len(t.dims) == 2]
        assert matrices
        assert all(m.dtype == np.int8 and np.abs(m).max() <= 64 for m in matrices)


def test_small_products_and_sums_with_constants_stay_floats(make):
    """What saves no bytes, or is arithmetic rather than a network, is left as it is."""
    model = make.graph(
        [
            ("MatMul", ["x", "wide"], ["h"], {}),
            ("MatMul", ["h", "small"], ["p"], {}),
            ("Add", ["p", "p"], ["q"], {}),
            ("Abs", ["q"], ["a"], {}),
            ("Add", ["a", "one"], ["y"], {}),
        ],
        [32],
        wide=make.normal(32, 32), small=make.normal(32, 2), one=np.float32([1, 2]),
    )  # fmt: skip
    ready = prepared(model)
    kinds = {node.name: node.op_type for node in ready.graph.node}
    assert sorted(kinds[name] for name in left_in_floats(ready)) == ["Add", "MatMul"]


def test_static_needs_inputs(make):
    """Without data it says what to declare; with rows that lack an input, which one."""
    given = make.source(make.mlp())
    with pytest.raises(RecipeFailed, match="evaluate="):
        Int8Static().make(given, Material(rows=[], outputs=[]))
    with pytest.raises(RecipeFailed, match="no data for the input 'x'"):
        Int8Static().make(given, Material(rows=[{"z": make.normal(1, 64)}], outputs=[]))


def test_static_leaves_models_without_layers_alone(make):
    """Arithmetic alone gains nothing from integers."""
    model = make.graph([("Mul", ["x", "w"], ["y"], {})], [512], w=make.normal(512))
    assert Int8Static().skip(make.source(model)) == (
        "only 0% of its weights are in convolutions and linear layers"
    )


def test_static_takes_several_inputs(make):
    """Rows of more than one input, and of any number of rows, are calibrated on."""
    model = make.graph(
        [("MatMul", ["x", "w"], ["p"], {}), ("Add", ["p", "x2"], ["y"], {})],
        [32],
        w=make.normal(32, 32),
    )
    second = model.graph.input.add()
    second.CopyFrom(model.graph.input[0])
    second.name = "x2"
    rows = [{"x": make.normal(n, 32), "x2": make.normal(n, 32, seed=1)} for n in (1, 5, 2)]
    made = Int8Static().make(make.source(model), Material(rows=rows, outputs=[]))
    (expected,) = onnx_model.answers(model.SerializeToString(), rows[1])
    assert onnx_model.relative_error(expected, onnx_model.answers(made, rows[1])[0]) < 0.05


def test_ranges_come_from_all_over_the_data(make):
    """Rows may be in the order of their labels: the last are looked at like the first."""
    model = make.mlp()
    quiet = [{"x": make.normal(1, 64, scale=0.01)}] * 500
    loud = [{"x": make.normal(1, 64, seed=3, scale=10)}] * 500
    made = Int8Static().make(make.source(model), Material(rows=quiet + loud, outputs=[]))
    (expected,) = onnx_model.answers(model.SerializeToString(), loud[0])
    assert onnx_model.relative_error(expected, onnx_model.answers(made, loud[0])[0]) < 0.05


@pytest.mark.parametrize("recipe", [Int8Dynamic(), Int8Static()])
def test_a_quantised_model_is_not_quantised_again(make, recipe):
    """The second time there is nothing to do, and it says so."""
    model = make.mlp()
    made = recipe.make(make.source(model), make.material(model))
    assert recipe.skip(Source(data=made, format="onnx")) == "is quantised already"


def test_progress_goes_up_to_one(make):
    """A build shows how far it is."""
    seen = []
    model = make.mlp()
    Int8Static().make(make.source(model), make.material(model, on_progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_models_of_old_opsets_are_brought_up_to_date(make):
    """Scales by channel came with opset 13; exporters of old wrote 11 and less."""
    model = make.cnn()
    model.opset_import[0].version = 11
    made = Int8Static().make(make.source(model), make.material(model))
    assert onnx_model.opset(onnx_model.load(made)) >= 13
    assert make.snr_db(model, made) > 30
