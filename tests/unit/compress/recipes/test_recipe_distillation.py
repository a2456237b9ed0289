"""Distillation into a student of the developer's."""

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from edgefn.compress.errors import InvalidData
from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Material, RecipeFailed
from edgefn.compress.recipes import distillation
from edgefn.compress.recipes.distillation import Distilled, renamed
from edgefn.compress.training import distil


def rows(count=64):
    rng = np.random.default_rng(3)
    return [{"x": rng.standard_normal((1, 64)).astype(np.float32)} for _ in range(count)]


class Student(torch.nn.Module):
    """Half of the network that teaches it."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4)
        )

    def forward(self, features):
        return self.layers(features)


def test_a_student_learns_from_answers_alone(make, monkeypatch):
    """It has the names of the given model, a free batch, and answers much as that one does."""
    monkeypatch.setattr(distillation, "_STEPS", 600)
    model = make.mlp()
    made = Distilled(Student).make(make.source(model), Material(rows=rows(), outputs=[]))
    loaded = onnx_model.load(made)
    assert [value.name for value in (*loaded.graph.input, *loaded.graph.output)] == ["x", "y"]
    assert onnx_model.has_free_batch(loaded)
    batch = {"x": np.concatenate([row["x"] for row in rows()])}
    (expected,) = onnx_model.answers(model.SerializeToString(), batch)
    (found,) = onnx_model.answers(made, batch)
    assert np.square(found - expected).mean() < 0.5 * expected.var()
    assert len(made) < 0.5 * len(model.SerializeToString())


@pytest.mark.parametrize(
    ("labels", "handed_on"), [([1] * 40, [1] * 40), ([1] * 39, None), ([], None)]
)
def test_labels_count_where_each_run_has_one(make, monkeypatch, labels, handed_on):
    """Otherwise the answers of the given model are all that there is to learn."""
    heard = []
    monkeypatch.setattr(distil, "distil", lambda *args, **more: heard.append(args[3]))
    material = Material(rows=rows(40), outputs=[], labels=labels)
    Distilled(Student).make(make.source(make.mlp()), material)
    assert [None if each is None else each.tolist() for each in heard] == [handed_on]


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (lambda: torch.nn.Linear(64, 5), r"outputs is \[\[5\]\], of the model's \[\[4\]\]"),
        (lambda: "net", "has to return a torch.nn.Module, not a str"),
    ],
)
def test_a_student_that_does_not_fit_is_refused(make, student, said):
    """Before it is trained, with what is wrong."""
    with pytest.raises(RecipeFailed, match=said):
        Distilled(student).make(make.source(make.mlp()), Material(rows=rows(32), outputs=[]))


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (lambda: torch.nn.Linear(3, 4), r"^student= raises RuntimeError: mat1 and mat2"),
        (lambda: int("four"), r"^student= raises ValueError: invalid literal for int\(\)"),
    ],
)
def test_a_student_that_raises_is_to_blame_itself(make, student, said):
    """And not the model that it was to learn from."""
    with pytest.raises(InvalidData, match=said):
        Distilled(student).make(make.source(make.mlp()), Material(rows=rows(32), outputs=[]))


def test_too_few_rows_are_refused(make):
    """Nothing honest can be learned from a handful of rows."""
    with pytest.raises(RecipeFailed, match="5 rows are too few"):
        Distilled(Student).make(make.source(make.mlp()), Material(rows=rows(5), outputs=[]))


def test_another_student_is_another_version():
    """A changed file of the student makes what is in the cache stale."""
    assert Distilled(Student, "1").version == Distilled(Student, "1").version
    assert Distilled(Student, "1").version != Distilled(Student, "2").version


def test_inner_names_get_out_of_the_way(make):
    """Renaming swaps inputs and outputs with inner values of the same names."""
    model = make.mlp()
    before = onnx_model.answers(model.SerializeToString(), rows(1)[0])
    made = renamed(model.SerializeToString(), ["h"], ["x"])
    (after,) = onnx_model.answers(made, {"h": rows(1)[0]["x"]})
    np.testing.assert_array_equal(before[0], after)
