"""Train the diagnosis model and write diagnosis.onnx and the sample calls."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from perceptron import Perceptron, fit
from rich.console import Console
from wisconsin import Rows, split

HERE = Path(__file__).parent
OPSET = 17
SEED = 0
SAMPLES_A_CLASS = 3


def to_onnx(network: Perceptron) -> onnx.ModelProto:
    """Return the graph: standardise, perceptron, sigmoid, and the contribution of each feature."""
    constants = _constants(network)
    graph = helper.make_graph(
        _forward_nodes() + _contribution_nodes(),
        "diagnosis",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 30])],
        [
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["batch", 30]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, {"refer_below": f"{network.refer_below:.2f}"})
    onnx.checker.check_model(model, full_check=True)
    return model


def _constants(network: Perceptron) -> dict[str, np.ndarray]:
    """Return the graph's constants, among them what the mean benign mass activates."""
    benign = (network.benign - network.mean) / network.scale
    inner1 = benign @ network.weights[0] + network.biases[0]
    inner2 = np.maximum(inner1, 0.0) @ network.weights[1] + network.biases[1]
    constants = {
        "mean": network.mean, "scale": network.scale, "benign": benign,
        "benign_a1": inner1, "benign_a2": inner2,
        # The tiny term keeps 0 / 0 out where a unit sits exactly on its kink in both masses.
        "benign_abs1": np.abs(inner1) + 1e-12, "benign_abs2": np.abs(inner2) + 1e-12,
        "half": np.float32(0.5),
    }  # fmt: skip
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True), 1):
        # Stored twice: quantisers cannot yet cope with a weight that is also used transposed.
        constants |= {f"w{i}": weight, f"b{i}": bias, f"w{i}t": weight.T.copy()}
    floats = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    return floats | {"last_axis": np.array([1], np.int64)}


def _node(kind: str, inputs: str, output: str) -> onnx.NodeProto:
    """Return one node named after its output."""
    return helper.make_node(kind, inputs.split(), [output], name=output)


def _forward_nodes() -> list[onnx.NodeProto]:
    """Return the nodes from the raw features to the probability."""
    return [
        _node("Sub", "features mean", "centred"),
        _node("Div", "centred scale", "z"),
        _node("MatMul", "z w1", "p1"),
        _node("Add", "p1 b1", "a1"),
        _node("Relu", "a1", "h1"),
        _node("MatMul", "h1 w2", "p2"),
        _node("Add", "p2 b2", "a2"),
        _node("Relu", "a2", "h2"),
        _node("MatMul", "h2 w3", "p3"),
        _node("Add", "p3 b3", "log_odds"),
        _node("Sigmoid", "log_odds", "column"),
        _node("Squeeze", "column last_axis", "probability"),
    ]


def _contribution_nodes() -> list[onnx.NodeProto]:
    """Return the backward sweep of DeepLIFT's rescale rule.

    A unit's multiplier is (relu(a) - relu(a0)) / (a - a0), a0 being its activation for the mean
    benign mass. As written that is 0 / 0 where a = a0; it equals 1/2 + 1/2 (a + a0) / (|a| + |a0|),
    which is not.
    """
    nodes = []
    for i in (2, 1):
        nodes += [
            _node("Add", f"a{i} benign_a{i}", f"why/sum{i}"),
            _node("Abs", f"a{i}", f"why/abs{i}"),
            _node("Add", f"why/abs{i} benign_abs{i}", f"why/bound{i}"),
            _node("Div", f"why/sum{i} why/bound{i}", f"why/ratio{i}"),
            _node("Mul", f"why/ratio{i} half", f"why/halved{i}"),
            _node("Add", f"why/halved{i} half", f"why/multiplier{i}"),
        ]
    return nodes + [
        _node("Mul", "why/multiplier2 w3t", "why/g2"),
        _node("MatMul", "why/g2 w2t", "why/p1"),
        _node("Mul", "why/p1 why/multiplier1", "why/g1"),
        _node("MatMul", "why/g1 w1t", "why/gradient"),
        _node("Sub", "z benign", "why/distance"),
        _node("Mul", "why/gradient why/distance", "contributions"),
    ]


def write_samples(network: Perceptron, held_out: Rows) -> None:
    """Write held-out masses as JSON bodies: two clear ones and one uncertain one of each class."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    scores = np.abs(network.log_odds(held_out.features))
    for value, name in ((1, "malignant"), (0, "benign")):
        rows = np.flatnonzero(held_out.malignant == value)
        by_certainty = rows[np.argsort(scores[rows])]
        chosen = (*rows[: SAMPLES_A_CLASS - 1], by_certainty[0])
        for number, row in enumerate(chosen, 1):
            body = {"features": [float(str(v)) for v in held_out.features[row]]}
            (folder / f"{name}-{number}.json").write_text(json.dumps(body) + "\n")


def main() -> None:
    """Train on the training split, and write the model and the samples."""
    console = Console()
    torch.set_num_threads(1)
    train, held_out = split()
    with console.status(f"training on {len(train.malignant)} masses, with 5 inner folds"):
        network = fit(train, SEED)
    model = to_onnx(network)
    path = HERE / "diagnosis.onnx"
    path.write_bytes(model.SerializeToString())
    write_samples(network, held_out)
    console.print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, opset {OPSET}")
    console.print(f"REFER_BELOW in function.py has to be {network.refer_below:.2f}")


if __name__ == "__main__":
    main()
