"""Names of variants."""

import pytest

from edgefn_runtime.variant import backend_of


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        ([], "python"),
        (["kws.onnx"], "onnx"),
        (["models/kws.TFLITE"], "litert"),
        (["a.onnx", "b.onnx"], "onnx"),
        (["b.tflite", "a.onnx"], "onnx+litert"),
    ],
)
def test_a_variant_is_called_by_what_runs_it(paths, name):
    """The suffixes of the models say which backends a variant needs."""
    assert backend_of(paths) == name
