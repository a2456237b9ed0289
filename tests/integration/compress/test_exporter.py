"""Models that a user's file returns, exported in a process of their own."""

from pathlib import Path

import numpy as np
import pytest

from edgefn.compress.errors import ExportFailed
from edgefn.compress.export.exporter import export_model
from edgefn_runtime.backends import load_model

SOURCE = """
import numpy as np
print("at import")

def example_inputs():
    return np.random.default_rng(0).normal(size=(8, 4)).astype("float32")

def line():
    from sklearn.linear_model import LinearRegression
    x = example_inputs()
    return LinearRegression().fit(x, x.sum(axis=1))

def unready():
    raise OSError("no such weights")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


def test_a_fitted_estimator_becomes_a_model_that_answers_the_same(source: Path) -> None:
    """For any number of rows."""
    result = source.with_name("line.onnx")
    export_model(source, "line", "example_inputs", result)
    model = load_model(result.read_bytes(), result.name)
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.ravel(model.run([rows])[0]) == pytest.approx(rows.sum(axis=1), rel=1e-4)


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(source: Path) -> None:
    """Before anything is exported, and without a traceback: it is nobody's code that is wrong."""
    (source.parent / "taken").mkdir()
    with pytest.raises(ExportFailed, match="taken cannot be written: Is a directory") as caught:
        export_model(source, "line", "example_inputs", source.parent / "taken")
    assert not caught.value.detail
    with pytest.raises(ExportFailed, match="out.onnx cannot be written: File exists"):
        export_model(source, "line", "example_inputs", source / "out.onnx")


@pytest.mark.parametrize(
    ("name", "expected"), [("unready", "OSError: no such weights"), ("missing", "has no 'missing'")]
)
def test_a_callable_that_fails_is_told_in_a_sentence(
    source: Path, name: str, expected: str
) -> None:
    """With what it printed, and its traceback; nothing is written."""
    result = source.with_name("out.onnx")
    with pytest.raises(ExportFailed, match=expected) as caught:
        export_model(source, name, "example_inputs", result)
    assert "at import" in caught.value.detail["log"]
    assert (name == "unready") == ("model.py" in caught.value.detail["traceback"])
    assert not result.exists()
