"""Variants measured in real replicas."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.bundle.description import Declared
from edgefn.compress.evaluation.captured import Captured
from edgefn.compress.measuring.measure import measure
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import Measurement

FUNCTION = """
    import os
    from edgefn import Model, Tensor, edge_function
    from edgefn_runtime.backends.onnx import OnnxModel

    run = OnnxModel.run

    def fragile(self, arrays):
        if self.outputs[0].name == "x3" and len(arrays[0]) == 4:
            os.abort()
        return run(self, arrays)

    OnnxModel.run = fragile

    @edge_function(model="m.onnx")
    def f(x: Tensor["float32", 64], model: Model) -> float:
        return float(model(x[None])[0, 0])
"""


def chain(layers: int, rows: int | str = "n", width: int = 64) -> bytes:
    """A model of equal layers: twice as many take twice as long."""
    weights = np.eye(width, dtype=np.float32)
    graph = helper.make_graph(
        [
            node
            for layer in range(layers)
            for node in (
                helper.make_node("MatMul", [f"x{layer}" if layer else "x", "w"], [f"m{layer}"]),
                helper.make_node("Sin", [f"m{layer}"], [f"x{layer + 1}"]),
            )
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, [rows, width])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture
def declared(tmp_path: Path) -> Declared:
    (tmp_path / "function.py").write_text(textwrap.dedent(FUNCTION))
    schema = FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=())
    return Declared("f", FunctionSpec(name="f", models={"model": "m.onnx"}), schema)


@pytest.fixture
def captured() -> Captured:
    rng = np.random.default_rng(0)
    runs = [{"x": rng.normal(size=(1, 64)).astype(np.float32)} for _ in range(20)]
    return Captured(
        inputs={"model": runs},
        outputs={"model": []},
        labels={},
        data_digest="",
        rows=20,
        calibration_rows=20,
        labelled=False,
    )


def write(folder: Path, name: str, data: bytes) -> dict[str, Path]:
    path = folder / f"{name}.onnx"
    path.write_bytes(data)
    return {"model": path}


def children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_variants_are_measured_in_turns(tmp_path, declared, captured):
    """Size, load time, memory, and latencies of each batch; broken ones by their reason."""
    variants = {
        "short": write(tmp_path, "short", chain(2)),
        "long": write(tmp_path, "long", chain(200)),
        "fixed": write(tmp_path, "fixed", chain(2, rows=1)),
        "fatal": write(tmp_path, "fatal", chain(3)),
        "broken": write(tmp_path, "broken", b"not a model"),
        "other": write(tmp_path, "other", chain(2, width=32)),
    }
    before = children()
    shares: list[float] = []
    file = tmp_path / "function.py"
    found = measure(file, declared, variants, captured, shares.append, rounds=3)
    short, long, fixed = (found[name] for name in ("short", "long", "fixed"))
    assert isinstance(short, Measurement) and isinstance(long, Measurement)
    assert isinstance(fixed, Measurement)
    assert short.size_bytes == len(chain(2))
    assert 0 < short.load_s < long.load_s + 1
    assert short.private_bytes > 100_000
    assert [latency.batch for latency in short.latencies] == [1, 2, 4, 8, 16]
    assert long.latencies[0].p50_s > short.latencies[0].p50_s  # a hundred times the work
    assert all(latency.p50_s <= latency.p95_s for latency in long.latencies)
    assert [latency.batch for latency in fixed.latencies] == [1]
    assert found["fatal"] == "its replica died: killed by signal 6"
    assert "broken.onnx: ONNX Runtime refuses the model" in str(found["broken"])
    assert "expected shape [n, 32], got [1, 64]" in str(found["other"])
    assert shares == sorted(shares) and shares[0] >= 0.0 and shares[-1] < 1
    assert children() == before


def test_an_interruption_leaves_nothing(tmp_path, declared, captured):
    """No forkserver and no replica."""
    before = children()

    def interrupt(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        variants = {"v": write(tmp_path, "v", chain(1))}
        measure(tmp_path / "function.py", declared, variants, captured, interrupt, rounds=1)
    assert children() == before


def test_a_function_that_never_runs_its_model_is_not_measured(tmp_path, declared, captured):
    """There is nothing to run it on."""
    empty = Captured(
        inputs={"model": []},
        outputs={"model": []},
        labels={},
        data_digest="",
        rows=1,
        calibration_rows=1,
        labelled=False,
    )
    variants = {"v": write(tmp_path, "v", chain(1))}
    found = measure(tmp_path / "function.py", declared, variants, empty)
    assert found == {"v": "the function does not run its model on any calibration row"}
