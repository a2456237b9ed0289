"""4-bit weights in blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgefn.compress.recipes.int4 import Int4, pack


def test_quantises_gemm_as_well_as_matmul(make):
    """A transposed Gemm is rewritten first; a small matrix stays in floats."""
    model = make.mlp()
    made = Int4().make(make.source(model), make.material(model))
    assert make.ops(made) == {"MatMulNBits": 1, "Add": 2, "Relu": 1, "MatMul": 1}
    assert len(made) < 0.3 * len(model.SerializeToString())
    assert make.snr_db(model, made) > 18


def test_nothing_to_quantise_is_said(make):
    """A model of convolutions is skipped, never passed through as if it were quantised."""
    assert "linear layer" in Int4().skip(make.source(make.cnn()))


@given(inputs=st.integers(1, 70), outputs=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_weight_is_within_half_a_step(inputs, outputs, seed):
    """Unpacked as the operator does, a weight is off by its block's scale at most."""
    matrix = np.random.default_rng(seed).standard_normal((inputs, outputs)).astype(np.float32)
    matrix[:, 0] = 0
    packed, scales = pack(matrix)
    halves = np.stack([packed & 15, packed >> 4], axis=-1).reshape(outputs, scales.shape[1], 32)
    unpacked = (halves.astype(np.float32) - 8) * scales[:, :, None]
    rebuilt = unpacked.reshape(outputs, -1)[:, :inputs].T
    # Half a step, but for the value at the far end of the side that has one step less.
    steps = np.repeat(np.abs(scales), 32, axis=1)[:, :inputs].T
    assert (np.abs(rebuilt - matrix) <= steps + 1e-6).all()
    assert not rebuilt[:, 0].any()
