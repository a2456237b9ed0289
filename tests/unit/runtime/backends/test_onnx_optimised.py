"""Optimised forms of ONNX models: the same answers, from nothing but what was checked."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn_runtime.backends import load_model
from edgefn_runtime.backends.onnx_optimised import load_optimised, write_optimised
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.optimised import GRAPH_FILE, WEIGHTS_FILE, OptimisedForm, Record

WIDTH = 32


def layered() -> bytes:
    """Returns a model of two layers that are worth fusing."""
    random = np.random.default_rng(1)
    weights = [
        numpy_helper.from_array(random.normal(size=(WIDTH, WIDTH)).astype(np.float32), name)
        for name in ("v", "w")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    opsets = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


@pytest.fixture
def form(tmp_path: Path) -> OptimisedForm:
    """One that was just written."""
    return write_optimised(layered(), "m.onnx", tmp_path)


def test_it_is_the_same_model(form: OptimisedForm) -> None:
    """The same inputs and outputs, and the same numbers, for as long as it is used."""
    given, optimised = load_model(layered(), "m.onnx"), load_optimised(form, "m.onnx")
    shutil.rmtree(form.folder)
    assert (optimised.inputs, optimised.outputs) == (given.inputs, given.outputs)
    for rows in (1, 5):
        x = np.random.default_rng(rows).normal(size=(rows, WIDTH)).astype(np.float32)
        np.testing.assert_array_equal(optimised(x), given(x))


@pytest.mark.parametrize("name", [GRAPH_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone", "linked"])
def test_damaged_files_are_not_loaded(form: OptimisedForm, name: str, damage: str) -> None:
    """Not one bit may differ, and the file must be the one in the folder."""
    path = Path(form.folder, name)
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flipped":
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "empty":
        path.touch()
    elif damage == "linked":
        elsewhere = Path(form.folder, "elsewhere")
        elsewhere.write_bytes(data)
        path.symlink_to(elsewhere)
    with pytest.raises(LoadFailed, match="cannot be read|was changed since it was made"):
        load_optimised(form, "m.onnx")


def test_another_engine_does_not_load_it(form: OptimisedForm) -> None:
    """Its weights are laid out for the kernels of one version."""
    other = msgspec.structs.replace(form, engine="0.1")
    with pytest.raises(LoadFailed, match=r"of ONNX Runtime 0\.1, this is"):
        load_optimised(other, "m.onnx")


@pytest.mark.parametrize("location", ["other.bin", "../other.bin", "/etc/hostname"])
def test_a_graph_can_name_no_other_file(form: OptimisedForm, location: str) -> None:
    """Not even if its digest is right: weights come from the one file that was checked."""
    folder = Path(form.folder)
    (folder / "other.bin").write_bytes((folder / WEIGHTS_FILE).read_bytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [tensor]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / GRAPH_FILE).write_bytes(made.SerializeToString())
    digest = hashlib.sha256(made.SerializeToString()).hexdigest()
    record = Record(graph_sha256=digest, weights_sha256=form.record.weights_sha256)
    with pytest.raises(LoadFailed, match="not found from the table"):
        load_optimised(msgspec.structs.replace(form, record=record), "m.onnx")


def test_a_model_without_weights_has_no_form(tmp_path: Path, onnx_model) -> None:
    """There is nothing to share."""
    with pytest.raises(LoadFailed, match="keeps no weights of it apart"):
        write_optimised(onnx_model(), "m.onnx", tmp_path)
