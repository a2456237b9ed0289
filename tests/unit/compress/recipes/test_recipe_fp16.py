"""Weights in half precision."""

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipes.fp16 import Fp16


def test_halves_the_weights_and_keeps_float32_outside(make):
    """Large weights take half the bytes; inputs, outputs and small tensors stay float32."""
    model = make.mlp()
    made = Fp16().make(make.source(model), make.material(model))
    assert len(made) < 0.6 * len(model.SerializeToString())
    assert make.snr_db(model, made) > 60
    stored = {tensor.data_type for tensor in onnx_model.load(made).graph.initializer}
    assert stored == {1, 10}  # FLOAT for the biases, FLOAT16 for the matrices
    assert onnx_model.answers(made, make.rows_for(model)[0])[0].dtype == np.float32


def test_weights_that_overflow_stay_as_they_are(make):
    """A weight beyond the range of float16 would become infinite."""
    model = make.graph([("MatMul", ["x", "w"], ["y"], {})], [16], w=make.normal(16, 16, scale=1e6))
    assert "worth storing" in Fp16().skip(make.source(model))
