"""Wide layers as two narrow ones."""

import numpy as np
import pytest

from edgefn.compress.recipes.low_rank import LowRank, factors


def test_a_layer_of_low_rank_becomes_two(make):
    """Weights that are nearly of rank 5 take a fraction, and answer nearly the same."""
    model = make.mlp(rank=5)
    made = LowRank().make(make.source(model), make.material(model))
    assert make.ops(made)["MatMul"] == 3
    assert len(made) < 0.5 * len(model.SerializeToString())
    assert make.snr_db(model, made) > 8


def test_layers_that_need_their_rank_are_left(make):
    """Random weights have no small singular values to cut."""
    assert "would save 0% of the weights" in LowRank().skip(make.source(make.mlp()))


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_factors_keep_nine_tenths_of_the_energy(make, shape):
    """What is cut off is at most a tenth of the squared weights."""
    matrix = make.normal(shape[0], 6) @ make.normal(6, shape[1], seed=1)
    left, right = factors(matrix)
    assert left.shape[1] == right.shape[0] <= 6
    assert ((matrix - left @ right) ** 2).sum() <= 0.1001 * (matrix**2).sum()


def test_a_matrix_and_its_transpose_have_the_same_factors(make):
    """So that a backward sweep in the graph shares its weights with the forward one."""
    matrix = make.normal(40, 6) @ make.normal(6, 90, seed=1)
    left, right = factors(matrix)
    other_left, other_right = factors(np.ascontiguousarray(matrix.T))
    assert np.array_equal(left, other_right.T)
    assert np.array_equal(right, other_left.T)


def test_zeros_are_left_alone():
    """A layer that was never trained is no error."""
    assert factors(np.zeros((64, 64), np.float32)) is None
