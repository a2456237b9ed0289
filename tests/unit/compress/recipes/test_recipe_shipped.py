"""Every ONNX recipe on the three models that the repository ships."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from edgefn.compress.recipe import Material
from edgefn.compress.recipes.fp16 import Fp16
from edgefn.compress.recipes.fp32 import Fp32
from edgefn.compress.recipes.int4 import Int4
from edgefn.compress.recipes.int8_dynamic import Int8Dynamic
from edgefn.compress.recipes.int8_static import Int8Static
from edgefn.compress.recipes.low_rank import LowRank

# The least signal-to-noise ratio of any output on made-up rows: half of what was measured.
CASES = [
    ("diagnosis", Fp16(), 30), ("diagnosis", Int8Dynamic(), 15), ("diagnosis", Int8Static(), 15),
    ("diagnosis", Int4(), 10), ("diagnosis", LowRank(), 10),
    ("monitoring", Fp16(), 30), ("monitoring", Int8Dynamic(), 15), ("monitoring", Int8Static(), 15),
    ("monitoring", Int4(), 10), ("monitoring", LowRank(), 5),
    ("voice", Fp16(), 30), ("voice", Int8Static(), 15),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "recipe", "db"), CASES, ids=lambda value: getattr(value, "name", value)
)
def test_it_works_quietly_and_the_same_twice(make, capfd, function, recipe, db):
    """The answers stay near, two runs give the same bytes, and nothing is printed."""
    model = make.shipped(function)
    made = recipe.make(make.source(model), make.material(model))
    assert make.snr_db(model, made) > db
    assert recipe.make(make.source(model), make.material(model)) == made
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("function", ["diagnosis", "monitoring", "voice"])
def test_8_bits_take_two_fifths_of_the_bytes(make, function):
    """Also of the simplified model, which stores what a backward sweep shares once."""
    model = make.shipped(function)
    plain = len(Fp32().make(make.source(model), make.material(model)))
    assert plain <= len(model.SerializeToString())
    assert len(Int8Static().make(make.source(model), make.material(model))) <= 0.40 * plain


def test_weights_that_are_also_used_transposed_are_stored_once(make):
    """Simplified, quantised or in factors: the backward sweep of diagnosis costs no weights."""
    model = make.shipped("diagnosis")
    for recipe in (Fp32(), Int8Dynamic(), Int8Static(), LowRank()):
        made = recipe.make(make.source(model), make.material(model))
        assert make.ops(made)["Transpose"] >= 2, recipe.name
        assert len(made) < 0.6 * len(model.SerializeToString())


def test_another_process_makes_the_same_bytes(make):
    """Nothing depends on the order of a set or on where a temporary file was."""
    code = (
        "import sys, hashlib, numpy as np\n"
        "from edgefn.compress.recipe import Material, Source\n"
        "from edgefn.compress.recipes.int8_static import Int8Static\n"
        "given = Source(data=sys.stdin.buffer.read(), format='onnx')\n"
        "rows = [{'features': np.full((1, 55), value, np.float32)} for value in (-1, 0, 2)]\n"
        "made = Int8Static().make(given, Material(rows=rows, outputs=[]))\n"
        "print(hashlib.sha256(made).hexdigest())"
    )
    given = make.source(make.shipped("monitoring"))
    rows = [{"features": np.full((1, 55), value, np.float32)} for value in (-1, 0, 2)]
    made = Int8Static().make(given, Material(rows=rows, outputs=[]))
    there = subprocess.run(
        [sys.executable, "-c", code], input=given.data, env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert there.stdout.decode().strip() == hashlib.sha256(made).hexdigest()
