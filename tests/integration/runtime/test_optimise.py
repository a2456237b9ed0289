"""The process that makes an optimised form: what it refuses, and what it leaves."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgefn_runtime.optimised import RECORD_FILE, Record

WIDTH = 64


def model(*between: Any, **constants: list[int]) -> bytes:
    """Returns a model that multiplies by some weights, with other nodes from a to b behind."""
    weights = np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        *(between or [helper.make_node("Relu", ["a"], ["b"])]),
        helper.make_node("Identity", ["b"], ["y"]),
    ]
    initializers = [numpy_helper.from_array(weights, "w")]
    initializers += [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in constants.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    opsets = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def unfolding() -> bytes:
    """Asks for 20 MB of zeros, which the engine would write out."""
    return model(
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Cast", ["a"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["zeros", "index"], ["found"]),
        helper.make_node("Add", ["a", "found"], ["b"]),
        shape=[5_000_000],
    )


def run(data: bytes, folder: Path, *, engine: str = onnxruntime.__version__) -> tuple[int, str]:
    """Returns the exit status, and the reason."""
    path = folder.with_name("model.onnx")
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryFile() as told:
        ran = subprocess.run(
            [
                sys.executable, "-m", "edgefn_runtime.optimise", path, sha256, folder, engine,
                str(told.fileno()),
            ],
            pass_fds=[told.fileno()], capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ran.stdout, ran.stderr) == (b"", b"")
        told.seek(0)
        return ran.returncode, told.read().decode()


def test_what_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    """Whatever lies in the folder goes; the record is there in the end, and says what is."""
    folder = tmp_path / "form"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"half of them")
    (folder / "weights.bin").chmod(0o400)
    assert run(model(), folder) == (0, "")
    record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=Record)
    assert record == Record.of(folder)


def test_a_form_that_would_be_huge_is_not_published(tmp_path: Path) -> None:
    """A small model may ask for any amount of disk: there is no record then, and a reason."""
    status, told = run(unfolding(), tmp_path / "form")
    assert status == 1
    assert "Failed to write external initializers" in told
    assert not (tmp_path / "form" / RECORD_FILE).exists()


def test_it_is_made_by_the_engine_that_is_to_use_it(tmp_path: Path) -> None:
    """A box that was told of another one would keep what its replicas refuse."""
    status, told = run(model(), tmp_path / "form", engine="0.1")
    assert status == 1
    assert "is of ONNX Runtime 0.1, this is" in told
