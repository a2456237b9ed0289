"""One recipe after the other, and all of them."""

import subprocess
import sys

import numpy as np
import pytest

from edgefn.compress.recipe import Material, RecipeFailed, Source, by_name
from edgefn.compress.recipes import all_recipes
from edgefn.compress.recipes.int8_dynamic import Int8Dynamic
from edgefn.compress.recipes.low_rank import LowRank
from edgefn.compress.recipes.once import Once
from edgefn.compress.recipes.then import Then

BOTH = Then(LowRank(), Int8Dynamic(), "onnx-low-rank-int8-dynamic")


def test_the_second_works_on_what_the_first_made(make):
    """The layers are in two factors, and both are in integers; progress covers both."""
    seen = []
    model = make.mlp(rank=5)
    made = BOTH.make(make.source(model), make.material(model, on_progress=seen.append))
    assert make.ops(made)["MatMulInteger"] == 3
    assert seen == sorted(seen)
    assert (seen[-1], 0.5 in seen) == (1, True)


def test_it_is_skipped_with_the_first(make):
    """Where the first has nothing to do, the second alone is another recipe."""
    assert BOTH.skip(make.source(make.mlp())) == LowRank().skip(make.source(make.mlp()))


def test_it_says_which_result_the_second_refuses(make):
    """What the second cannot take is only known once the first has run."""
    model = make.mlp()
    twice = Then(Int8Dynamic(), Int8Dynamic(), "twice")
    with pytest.raises(RecipeFailed, match="what onnx-int8-dynamic makes is quantised already"):
        twice.make(make.source(model), make.material(model))


def test_it_changes_with_either():
    """A cached result is used only while both are what they were."""
    assert LowRank().version in BOTH.version
    assert Int8Dynamic().version in BOTH.version


def test_all_recipes_have_names_of_their_own_and_the_reference_is_first():
    """A build looks them up by name."""
    recipes = all_recipes()
    assert len(by_name(recipes)) == len(recipes)
    assert recipes[0].name == "onnx-fp32"
    assert all(recipe.summary and recipe.version for recipe in recipes)


def test_asking_for_the_recipes_imports_none_of_their_tools():
    """Listing what there is takes no second, and works where an extra is missing."""
    code = (
        "import sys; from edgefn.compress.recipes import all_recipes; all_recipes(lambda: None); "
        "print({'torch', 'onnx', 'onnxslim', 'onnxruntime', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


class Counting:
    """A recipe that says how often it was asked, and fails on an empty model."""

    name, summary, version, format = "counting", "counts", "1", "onnx"

    def __init__(self):
        self.calls = 0

    def missing(self):
        return ""

    def skip(self, source):
        return ""

    def make(self, source, material):
        self.calls += 1
        if not source.data:
            raise RecipeFailed("empty")
        return source.data + b"!"


def test_what_takes_long_is_done_once_for_the_same_model_and_rows():
    """Failures included; other rows, another seed or model make it run again."""
    inner = Counting()
    once = Once(inner)
    given, empty = Source(data=b"m", format="onnx"), Source(data=b"", format="onnx")
    rows = [{"x": np.zeros(3)}]
    material = Material(rows=rows, outputs=[])
    same = Material(rows=[{"x": np.zeros(3)}], outputs=[])
    assert once.make(given, material) == once.make(given, same) == b"m!"
    assert inner.calls == 1
    once.make(given, Material(rows=rows, outputs=[], seed=1))
    once.make(given, Material(rows=[{"x": np.ones(3)}], outputs=[]))
    assert inner.calls == 3
    for _ in range(2):
        with pytest.raises(RecipeFailed, match="empty"):
            once.make(empty, material)
    assert inner.calls == 4


def test_combinations_are_named_by_what_they_do():
    """Backend first, then the shape of the network, then its numbers."""
    names = by_name(all_recipes(lambda: None))
    assert {"onnx-pruned-25-int8-static", "litert-distilled-int8-static"} <= names.keys()
    assert "onnx-distilled" not in by_name(all_recipes())
    assert list(names).index("onnx-pruned-25") < list(names).index("onnx-pruned-25-int8-static")
