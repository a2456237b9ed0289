"""Structured pruning, and ONNX models as torch modules."""

import numpy as np
import pytest

pytest.importorskip("torch_pruning")
import torch

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Material, RecipeFailed, Source
from edgefn.compress.recipes.pruning import Pruned, prune, pruning_recipes
from edgefn.compress.training.distil import Training, distil
from edgefn.compress.training.onnx_module import OnnxModule


def rows(shape, count=64):
    rng = np.random.default_rng(2)
    return [{"x": rng.standard_normal((1, *shape)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("name", ["diagnosis", "monitoring", "voice"])
def test_a_module_computes_what_the_model_does(make, name):
    """So it does for the shipped models, and gives their weights back unchanged."""
    data = make.shipped(name).SerializeToString()
    module = OnnxModule(data)
    (row, *_) = make.rows_for(make.shipped(name))
    with torch.no_grad():
        found = module(*[torch.from_numpy(row[info]) for info in module.input_names])
    for one, other in zip(onnx_model.answers(data, row), found, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-3, atol=1e-4)
    for one, other in zip(
        onnx_model.answers(data, row), onnx_model.answers(module.to_onnx(), row), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_what_cannot_be_trained_is_named(make):
    """An operator that torch does not compute here is refused by its name."""
    model = make.graph([("Sin", ["x"], ["y"], {})], [4])
    with pytest.raises(RecipeFailed, match="has the operator Sin"):
        OnnxModule(model.SerializeToString())


def test_shared_weights_become_separate(make):
    """Two layers that were stored as one can be trained apart."""
    model = make.graph(
        [("MatMul", ["x", "w"], ["h"], {}), ("MatMul", ["h", "w"], ["y"], {})],
        [8],
        w=make.normal(8, 8),
    )
    module = OnnxModule(model.SerializeToString())
    with torch.no_grad():
        module.layers()[0].weight.zero_()
    made = onnx_model.load(module.to_onnx())
    assert len(made.graph.initializer) == 2


def test_channels_are_cut_and_the_answers_stay_near(make):
    """A quarter of the hidden layer goes; names, batch and outputs stay; progress is told."""
    seen = []
    material = Material(rows=rows((64,)), outputs=[], on_progress=seen.append)
    model = make.mlp()
    made = Pruned(25).make(make.source(model), material)
    shapes = sorted(tuple(tensor.dims) for tensor in onnx_model.load(made).graph.initializer)
    assert shapes == [(4,), (72,), (72, 4), (72, 64)]
    for row in rows((64,))[:1]:
        (expected,) = onnx_model.answers(model.SerializeToString(), row)
        (found,) = onnx_model.answers(made, row)
        assert np.linalg.norm(found - expected) < 0.5 * np.linalg.norm(expected)
    assert seen == sorted(seen) and seen


def test_the_same_seed_gives_the_same_bytes(make):
    """Pruning and training depend on the seed alone, whatever was random before."""
    made = []
    for _ in range(2):
        torch.rand(3)
        material = Material(rows=rows((64,), 32), outputs=[], seed=7)
        made.append(Pruned(50).make(make.source(make.mlp()), material))
    assert made[0] == made[1]


def test_depthwise_convolutions_are_cut_with_what_feeds_them(make):
    """Groups follow the channels, and the result runs."""
    model = make.graph(
        [
            ("Conv", ["x", "k1", "b1"], ["c1"], {"pads": [1, 1, 1, 1]}),
            ("Relu", ["c1"], ["r1"], {}),
            ("Conv", ["r1", "k2", "b1"], ["c2"], {"group": 16, "pads": [0, 0, 1, 1]}),
            ("Clip", ["c2", "low"], ["r2"], {}),
            ("ReduceMean", ["r2"], ["m"], {"axes": [2, 3], "keepdims": 0}),
            ("Gemm", ["m", "w"], ["y"], {}),
        ],
        [3, 6, 6],
        k1=make.normal(16, 3, 3, 3), k2=make.normal(16, 1, 3, 3), b1=make.normal(16),
        w=make.normal(16, 4), low=np.float32(0),
    )  # fmt: skip
    made = Pruned(50).make(make.source(model), Material(rows=rows((3, 6, 6), 32), outputs=[]))
    shapes = sorted(tuple(tensor.dims) for tensor in onnx_model.load(made).graph.initializer)
    assert (8, 1, 3, 3) in shapes and (8, 4) in shapes


def test_a_network_whose_channels_are_its_outputs_is_left_alone(make):
    """A sum ties every channel to an output: there is nothing that could be cut."""
    material = Material(rows=rows((3, 8, 8), 32), outputs=[])
    with pytest.raises(RecipeFailed, match="no channels that could be cut"):
        Pruned(50).make(make.source(make.cnn()), material)


def test_too_few_rows_are_refused(make):
    """Nothing honest can be learned from a handful of rows."""
    with pytest.raises(RecipeFailed, match="8 rows are too few to train on; give 32"):
        Pruned(25).make(make.source(make.mlp()), Material(rows=rows((64,), 8), outputs=[]))


def test_what_is_not_worth_trying(make):
    """One layer alone, a TFLite file, and a fixed batch."""
    recipe = pruning_recipes()[0]
    one = make.graph([("MatMul", ["x", "w"], ["y"], {})], [8], w=make.normal(8, 4))
    assert "no layer before the last" in recipe.skip(make.source(one))
    assert "TFL" not in recipe.skip(make.source(make.mlp()))
    assert ".tflite" in recipe.skip(Source(data=b"", format="tflite"))
    fixed = make.mlp()
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert "fixed number of rows" in recipe.skip(make.source(fixed))


def test_a_module_can_be_pruned_and_taught_by_hand():
    """The two steps work on torch modules of one's own, with labels too."""
    torch.manual_seed(0)
    teacher = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    student = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    student.load_state_dict(teacher.state_dict())
    inputs = torch.randn(96, 8)
    prune(student, [inputs[:1]], 0.5, ignored=[student[2]])
    assert student[0].out_features == 16
    short = Training(steps=80, check_every=20)
    error = distil(lambda x: [teacher(x)], student, [inputs], training=short)
    assert error < 0.6
    with torch.no_grad():
        labels = teacher(inputs).argmax(1)
    distil(lambda x: [teacher(x)], student, [inputs], labels, training=short)
    with torch.no_grad():
        assert (student(inputs).argmax(1) == labels).float().mean() > 0.8
