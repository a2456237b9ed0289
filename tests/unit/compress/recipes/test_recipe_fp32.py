"""Simplifying a model."""

import numpy as np
import pytest

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Material, RecipeFailed, Source
from edgefn.compress.recipes.fp32 import Fp32


def test_folds_constants_and_answers_the_same(make):
    """What is constant is computed once; the answers, the names and the free batch stay."""
    model = make.graph(
        [
            ("Mul", ["two", "w"], ["scaled"], {}),
            ("MatMul", ["x", "scaled"], ["p"], {}),
            ("Identity", ["p"], ["y"], {}),
        ],
        [8],
        two=np.float32([2]), w=make.normal(8, 3),
    )  # fmt: skip
    made = Fp32().make(make.source(model), make.material(model))
    assert make.ops(made) == {"MatMul": 1}
    assert make.snr_db(model, made) > 100
    after = onnx_model.load(made)
    assert onnx_model.has_free_batch(after)
    assert [after.graph.input[0].name, after.graph.output[0].name] == ["x", "y"]


def test_needs_no_data(make):
    """Without rows it is checked on made-up ones."""
    assert Fp32().make(make.source(make.cnn()), Material(rows=[], outputs=[]))


def test_leaves_its_input_and_the_tools_settings_alone(make, capfd):
    """Nothing is printed, and the same input gives the same bytes."""
    given = make.source(make.mlp())
    first = Fp32().make(given, Material(rows=[], outputs=[]))
    assert Fp32().make(given, Material(rows=[], outputs=[])) == first
    assert capfd.readouterr() == ("", "")


def test_a_wrong_simplification_is_refused(make):
    """The answers are compared: a model that answers otherwise does not pass for the same."""
    given, other = make.mlp(), make.mlp(rank=2)
    row = make.rows_for(given)[0]
    with pytest.raises(RecipeFailed, match=r"changed the output 'y' by 0\.\d+ of its norm|of its"):
        Fp32().check(given.SerializeToString(), other.SerializeToString(), row)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Source(data=b"TFL3", format="tflite"), "works on ONNX models"),
        (Source(data=b"\xff" * 40, format="onnx"), "no ONNX model"),
        (Source(data=b"", format="onnx"), "no ONNX model"),
    ],
)
def test_says_what_it_cannot_read(given, said):
    """Something else than an ONNX model is skipped with a reason, and fails with the same."""
    assert said in Fp32().skip(given)
    with pytest.raises(RecipeFailed, match=said):
        Fp32().make(given, Material(rows=[], outputs=[]))
