"""What a recipe's process says of what went wrong in it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch")

from edgefn.compress.children.runs_file import write_runs
from edgefn.compress.making.child import make
from edgefn.compress.making.messages import Finished, Make

STUDENT = """
import torch

def broken():
    raise ValueError("no such weights")

class Net(torch.nn.Module):
    def forward(self, x):
        raise KeyError("layer")
"""


def model() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.ones((2, 1), np.float32), "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    (tmp_path / "function.py").write_text(STUDENT)
    (tmp_path / "given").write_bytes(model())
    runs = [({"x": np.ones((1, 2), np.float32)}, [np.ones((1, 1), np.float32)])] * 40
    write_runs(tmp_path / "runs.npz", iter(runs))
    return tmp_path


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ("broken", "student= raises ValueError: no such weights (function.py:5)"),
        ("Net", "student= raises KeyError: 'layer' (function.py:9)"),
    ],
)
def test_a_student_that_raises_is_told_by_its_line(
    folder: Path, student: str, expected: str
) -> None:
    """And tried again the next time: what it needs may be there then."""
    asked = Make(
        recipe="onnx-distilled",
        source=str(folder / "given"),
        format="onnx",
        material=str(folder / "runs.npz"),
        runs=40,
        labels=[],
        seed=0,
        result=str(folder / "made"),
        file=str(folder / "function.py"),
        student=f"function.py:{student}",
    )
    assert make(asked, lambda share: None) == Finished(expected, is_final=False)
