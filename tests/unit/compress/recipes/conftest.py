"""Models small enough to look into, and the three that the repository ships."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, load, numpy_helper

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Material, Source

FUNCTIONS = Path(__file__).parents[4] / "functions"
SHIPPED = {
    "diagnosis": FUNCTIONS / "diagnosis" / "diagnosis.onnx",
    "monitoring": FUNCTIONS / "monitoring" / "monitoring.onnx",
    "voice": FUNCTIONS / "voice" / "kws.onnx",
}


def source(model):
    """Returns what a recipe takes of a model."""
    return Source(data=model.SerializeToString(), format="onnx")


def graph(nodes, shape, **weights):
    """Returns a model from x (float32, its batch free) to y."""
    made = helper.make_graph(
        [helper.make_node(op, inputs, outputs, **how) for op, inputs, outputs, how in nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def normal(*shape, seed=0, scale=0.2):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def mlp(rank=None):
    """Returns Gemm (transposed), Relu, MatMul and Add: 64 -> 96 -> 4."""
    first = normal(96, 64) if rank is None else normal(96, rank) @ normal(rank, 64, seed=1)
    return graph(
        [
            ("Gemm", ["x", "w1", "b1"], ["h"], {"transB": 1}),
            ("Relu", ["h"], ["r"], {}),
            ("MatMul", ["r", "w2"], ["p"], {}),
            ("Add", ["p", "b2"], ["y"], {}),
        ],
        [64],
        w1=first, b1=normal(96), w2=normal(96, 4), b2=normal(4),
    )  # fmt: skip


def cnn():
    """Returns two convolutions with a residual sum, and no linear layer."""
    return graph(
        [
            ("Conv", ["x", "k1", "b1"], ["c1"], {"pads": [1, 1, 1, 1]}),
            ("Relu", ["c1"], ["r1"], {}),
            ("Conv", ["r1", "k2", "b2"], ["c2"], {"pads": [1, 1, 1, 1]}),
            ("Add", ["r1", "c2"], ["s"], {}),
            ("GlobalAveragePool", ["s"], ["g"], {}),
            ("Flatten", ["g"], ["f"], {}),
            ("Mul", ["f", "three"], ["y"], {}),
        ],
        [3, 8, 8],
        k1=normal(16, 3, 3, 3), b1=normal(16), k2=normal(16, 16, 3, 3), b2=normal(16),
        three=np.float32([3]),
    )  # fmt: skip


def rows_for(model, count=32):
    """Returns inputs as the model expects them: its own mean and scale, where it has them."""
    weights = {name: numpy_helper.to_array(t) for name, t in onnx_model.weights(model).items()}
    (given,) = onnx_model.fed_inputs(model)
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim][1:]
    drawn = normal(count, 1, *shape, scale=1.0)
    drawn = drawn * weights.get("scale", np.float32(1)) + weights.get("mean", np.float32(0))
    return [{given.name: row.astype(np.float32)} for row in drawn]


def material(model, **more):
    return Material(rows=rows_for(model), outputs=[], **more)


def snr_db(model, made):
    """Returns the worst signal-to-noise ratio of the outputs, the given model being the signal."""
    worst = np.inf
    rows = rows_for(model)
    batch = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    expected = onnx_model.answers(model.SerializeToString(), batch)
    for one, other in zip(expected, onnx_model.answers(made, batch), strict=True):
        error = onnx_model.relative_error(one, other)
        worst = min(worst, np.inf if error == 0 else -20 * np.log10(error))
    return worst


def ops(data):
    return onnx_model.op_counts(onnx_model.load(data))


@pytest.fixture
def make():
    """What the tests of the recipes share."""
    return SimpleNamespace(
        source=source, graph=graph, normal=normal, mlp=mlp, cnn=cnn, rows_for=rows_for,
        material=material, snr_db=snr_db, ops=ops,
        shipped=lambda name: load(SHIPPED[name]),
    )  # fmt: skip
