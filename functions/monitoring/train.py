"""Train the monitoring model on synthesised vibration and write monitoring.onnx."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from rich.progress import track
from sklearn.covariance import LedoitWolf
from sklearn.metrics import f1_score
from torch import nn
from vibration import LABELS, TRAINING, VALIDATION, Domain, draw_circumstances, synthesise

HERE = Path(__file__).parent
OPSET = 17
SEED = 0
WINDOWS = 18_000
HEALTHY_WINDOWS = 6_000
VALIDATION_WINDOWS = 2_400
CHUNK = 30

HIDDEN = (128, 64)
EPOCHS = 40
BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
DROPOUT = 0.2
INPUT_NOISE = 0.1
LABEL_SMOOTHING = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """What is usual in healthy windows, of each feature alone and given all the others.

    The excess of a feature is how far it is above its median, in units of the way from the median
    to the 99th percentile; the score is the sum of the fourth powers of the positive ones. Only
    what is above counts, since a fault adds energy to a machine.
    """

    conditional: np.ndarray
    median: np.ndarray
    reach: np.ndarray
    usual: float = 1.0

    def score(self, features: np.ndarray) -> np.ndarray:
        """Return the unbounded score of each row."""
        both = np.hstack([features, features @ self.conditional])
        return (np.maximum((both - self.median) / self.reach, 0.0) ** 4).sum(1)


def load_function() -> ModuleType:
    """Import function.py under a name of its own: every function folder has one."""
    spec = importlib.util.spec_from_file_location("monitoring_function", HERE / "function.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def dataset(
    domain: Domain, labels: tuple[str, ...], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of count windows, the classes taking turns, and the classes."""
    function = load_function()
    rng = np.random.default_rng(seed)
    parts = []
    for at in track(range(0, count, CHUNK), f"{count} windows, {len(labels)} classes"):
        drawn = [
            synthesise(labels[i % len(labels)], draw_circumstances(domain, rng), rng)
            for i in range(at, at + CHUNK)
        ]
        windows, rpm = zip(*drawn, strict=True)
        parts.append(function.features(np.array(windows), np.array(rpm), function.BEARING))
    return np.concatenate(parts), np.arange(count) % len(labels)


def train_network(features: np.ndarray, classes: np.ndarray) -> list[nn.Linear]:
    """Return the layers of a perceptron over standardised features."""
    torch.manual_seed(SEED)
    layers = [nn.Linear(features.shape[1], HIDDEN[0]), nn.Linear(*HIDDEN)]
    last = nn.Linear(HIDDEN[1], len(LABELS))
    hidden = (part for layer in layers for part in (layer, nn.ReLU(), nn.Dropout(DROPOUT)))
    network = nn.Sequential(*hidden, last)
    loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    inputs, targets = torch.from_numpy(features), torch.from_numpy(classes)
    for _ in track(range(EPOCHS), f"{EPOCHS} epochs"):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            noisy = inputs[rows] + INPUT_NOISE * torch.randn(len(rows), inputs.shape[1])
            optimizer.zero_grad()
            loss(network(noisy), targets[rows]).backward()
            optimizer.step()
        schedule.step()
    return [*layers, last]


def log_scores(layers: list[nn.Linear], features: np.ndarray) -> torch.Tensor:
    """Return the network's scores before the softmax."""
    h = torch.from_numpy(features)
    with torch.no_grad():
        for layer in layers[:-1]:
            h = torch.relu(layer(h))
        return layers[-1](h)


def calibrate(layers: list[nn.Linear], features: np.ndarray, classes: np.ndarray) -> float:
    """Divide the last layer by the temperature that suits the validation domain best."""
    scores, targets = log_scores(layers, features), torch.from_numpy(classes)
    temperatures = np.linspace(0.3, 3.0, 271)
    losses = [float(nn.functional.cross_entropy(scores / t, targets)) for t in temperatures]
    best = float(temperatures[int(np.argmin(losses))])
    with torch.no_grad():
        layers[-1].weight /= best
        layers[-1].bias /= best
    return best


def train_detector(healthy: np.ndarray) -> Detector:
    """Fit the detector on half of the healthy windows and its usual score on the other half."""
    fitted, rest = healthy[::2], healthy[1::2]
    precision = LedoitWolf().fit(fitted).precision_
    # A column is, up to scale, a feature minus its best linear guess from all the others.
    conditional = precision / np.sqrt(np.diag(precision))
    both = np.hstack([fitted, fitted @ conditional])
    median = np.median(both, axis=0)
    reach = np.quantile(both, 0.99, axis=0) - median
    detector = Detector(conditional=conditional, median=median, reach=reach)
    usual = float(np.quantile(detector.score(rest), 0.99))
    return Detector(conditional=conditional, median=median, reach=reach, usual=usual)


def to_onnx(
    mean: np.ndarray, scale: np.ndarray, layers: list[nn.Linear], detector: Detector
) -> onnx.ModelProto:
    """Return one graph with the network and the detector."""
    constants = {
        "mean": mean, "scale": scale, "conditional": detector.conditional,
        "median": detector.median, "reach": detector.reach,
        "root_usual": np.sqrt(detector.usual),
    }  # fmt: skip
    for i, layer in enumerate(layers, 1):
        constants |= {f"w{i}": layer.weight.detach().numpy().T, f"b{i}": layer.bias.detach()}
    arrays = {name: np.ascontiguousarray(v, np.float32) for name, v in constants.items()}
    arrays["last_axis"] = np.array([1], np.int64)
    width = len(mean)
    graph = helper.make_graph(
        _nodes(),
        "monitoring",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 6]),
            helper.make_tensor_value_info("anomaly", TensorProto.FLOAT, ["batch"]),
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _nodes() -> list[onnx.NodeProto]:
    """Return the nodes; the anomaly is sqrt(score) / (sqrt(score) + sqrt(usual score))."""
    table = [
        ("Sub", "features mean", "centred"), ("Div", "centred scale", "z"),
        ("MatMul", "z w1", "p1"), ("Add", "p1 b1", "a1"), ("Relu", "a1", "h1"),
        ("MatMul", "h1 w2", "p2"), ("Add", "p2 b2", "a2"), ("Relu", "a2", "h2"),
        ("MatMul", "h2 w3", "p3"), ("Add", "p3 b3", "scores"),
        ("Softmax", "scores", "probabilities"),
        ("MatMul", "z conditional", "given_others"), ("Concat", "z given_others", "both"),
        ("Sub", "both median", "above"), ("Div", "above reach", "relative"),
        ("Relu", "relative", "excess"), ("Mul", "excess excess", "square"),
        ("Mul", "square square", "fourth"), ("ReduceSum", "fourth last_axis", "score"),
        ("Sqrt", "score", "root"), ("Add", "root root_usual", "bound"),
        ("Div", "root bound", "anomaly"),
    ]  # fmt: skip
    attributes = {"Softmax": {"axis": 1}, "Concat": {"axis": 1}, "ReduceSum": {"keepdims": 0}}
    return [
        helper.make_node(kind, inputs.split(), [output], output, **attributes.get(kind, {}))
        for kind, inputs, output in table
    ]


def main() -> None:
    """Synthesise, train, calibrate and write the model."""
    torch.set_num_threads(1)
    features, classes = dataset(TRAINING, LABELS, WINDOWS, SEED)
    healthy, _ = dataset(TRAINING, ("healthy",), HEALTHY_WINDOWS, SEED + 1)
    apart, apart_classes = dataset(VALIDATION, LABELS, VALIDATION_WINDOWS, SEED + 2)
    mean, scale = features.mean(0), features.std(0)
    layers = train_network((features - mean) / scale, classes)
    inside = (apart - mean) / scale
    temperature = calibrate(layers, inside, apart_classes)
    found = log_scores(layers, inside).argmax(1).numpy()
    detector = train_detector((healthy - mean) / scale)
    model = to_onnx(mean, scale, layers, detector)
    path = HERE / "monitoring.onnx"
    path.write_bytes(model.SerializeToString())
    print(f"validation macro-F1 {f1_score(apart_classes, found, average='macro'):.3f}")
    print(f"temperature {temperature:.2f}; {path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
