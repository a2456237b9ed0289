"""Evaluate the shipped monitoring model through function.py, on machines it was not trained on."""

import importlib.util
import inspect
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))
from charts import draw
from vibration import (
    BEARING_6203,
    BEARING_6205,
    LABELS,
    NOVEL,
    TEST,
    TRAINING,
    VALIDATION,
    Bearing,
    Domain,
    draw_circumstances,
    synthesise,
)

HERE = Path(__file__).parent
SEED = 1000
BATCH = 16
SAMPLES = 600
CALIBRATION = 240
WINDOWS_A_CLASS = 200
SNRS_DB = (-10.0, -7.5, -5.0, 0.0, 2.5, 5.0, 10.0, 15.0, 30.0)
SEVERITIES = (0.1, 0.15, 0.2, 0.25, 0.3)
MIN_F1 = 0.95
MIN_SNR_DB = 5.0


def samples() -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield windows of the test domain at 5 dB and above, with what should be answered."""
    for window, label in _windows(TEST, SAMPLES, SEED):
        yield window, {"label": label}


def calibration() -> Iterator[dict[str, Any]]:
    """Yield windows like those that the model was trained on."""
    for window, _ in _windows(TRAINING, CALIBRATION, SEED + 70):
        yield window


def _windows(domain: Domain, count: int, seed: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield windows with their labels, the classes taking turns."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        label = LABELS[i % len(LABELS)]
        window, rpm = synthesise(label, draw_circumstances(domain, rng), rng)
        yield {"window": window, "rpm": rpm}, label


class Shipped:
    """The model file behind function.py, run by ONNX Runtime on one thread."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(HERE / "monitoring.onnx", options)

    def __call__(self, features: np.ndarray) -> list[np.ndarray]:
        """Return the probabilities and the anomaly scores."""
        return self._session.run(None, {"features": features})


class Runs:
    """Runs function.py over synthesised windows."""

    def __init__(self) -> None:
        self.function = load_function()
        self.call = inspect.unwrap(self.function.monitoring)
        self.model = Shipped()

    def run(
        self,
        domain: Domain,
        labels: tuple[str, ...],
        each: int,
        seed: int,
        *,
        bearing: Bearing = BEARING_6205,
        tachometer: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return true labels, labels found and anomaly scores of each windows of every label."""
        rng = np.random.default_rng(seed)
        self.function.BEARING = self.function.Bearing(**asdict(bearing))
        truth = np.repeat(labels, each)
        answers = []
        for at in range(0, len(truth), BATCH):
            drawn = [
                synthesise(label, draw_circumstances(domain, rng), rng, bearing)
                for label in truth[at : at + BATCH]
            ]
            windows = [window for window, _ in drawn]
            rpm = [rpm * tachometer for _, rpm in drawn]
            answers += self.call(windows, rpm, self.model)
        return (
            truth,
            np.array([answer.label for answer in answers]),
            np.array([answer.anomaly for answer in answers]),
        )


def load_function() -> ModuleType:
    """Import function.py under a name of its own: every function folder has one."""
    spec = importlib.util.spec_from_file_location("monitoring_function", HERE / "function.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def macro_f1(truth: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Return the macro-F1 with a 95 % bootstrap interval over windows."""
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, len(truth), (300, len(truth)))
    scores = [f1_score(truth[d], found[d], average="macro") for d in draws]
    return {
        "windows": len(truth),
        "macro_f1": float(f1_score(truth, found, average="macro")),
        "macro_f1_ci95": np.quantile(scores, [0.025, 0.975]).tolist(),
    }


def anomalies(healthy: np.ndarray, faults: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return false alarms, and for each fault AUROC against healthy and the share flagged."""
    result: dict[str, Any] = {"false_alarms": float((healthy > 0.5).mean())}
    for fault, scores in faults.items():
        truth = np.repeat([0, 1], [len(healthy), len(scores)])
        auroc = roc_auc_score(truth, np.concatenate([healthy, scores]))
        result[fault] = {
            "auroc": float(auroc),
            "auroc_ci95": auc_interval(auroc, len(healthy), len(scores)),
            "flagged": float((scores > 0.5).mean()),
        }
    return result


def auc_interval(auc: float, negatives: int, positives: int) -> list[float]:
    """Return the 95 % interval of an AUC (Hanley and McNeil, 1982)."""
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (first - auc**2)
    variance += (negatives - 1) * (second - auc**2)
    half = 1.96 * np.sqrt(max(variance, 0.0) / negatives / positives)
    return [float(auc - half), float(min(1.0, auc + half))]


def over_noise(runs: Runs) -> tuple[dict[str, Any], list[tuple[np.ndarray, ...]]]:
    """Return the macro-F1 at each noise level, and the runs at the levels that have a bar."""
    scores, kept = {}, []
    for number, snr in enumerate(SNRS_DB):
        print(f"\rnoise level {number + 1} of {len(SNRS_DB)}", end="", flush=True)
        domain = replace(TEST, snr_db=((snr, snr),))
        outcome = runs.run(domain, LABELS, WINDOWS_A_CLASS, SEED + 1 + number)
        scores[f"{snr:g}"] = macro_f1(*outcome[:2])
        if snr >= MIN_SNR_DB:
            kept.append(outcome)
    print()
    return scores, kept


def over_severity(runs: Runs) -> dict[str, float]:
    """Return how many bearing, balance and alignment faults are named right while still slight."""
    scores = {}
    for number, severity in enumerate(SEVERITIES):
        domain = replace(TEST, severity=((severity, severity),))
        truth, found, _ = runs.run(domain, LABELS[1:], 60, SEED + 50 + number)
        scores[f"{severity:g}"] = float((truth == found).mean())
    return scores


def elsewhere(runs: Runs) -> dict[str, Any]:
    """Return the macro-F1 with a bearing not trained on, and with a tachometer 1 % off."""
    other = runs.run(TEST, LABELS, 100, SEED + 60, bearing=BEARING_6203)
    off = runs.run(TEST, LABELS, 100, SEED + 61, tachometer=1.01)
    return {"bearing_6203": macro_f1(*other[:2]), "rpm_reads_1_percent_high": macro_f1(*off[:2])}


def timing(runs: Runs) -> dict[str, float]:
    """Return the median milliseconds a window takes, features and model together."""
    inputs = [item for (item, _), _ in zip(samples(), range(BATCH), strict=False)]
    result = {}
    for batch in (1, BATCH):
        windows = [item["window"] for item in inputs[:batch]]
        rpm = [item["rpm"] for item in inputs[:batch]]
        times = []
        for _ in range(200):
            start = perf_counter()
            runs.call(windows, rpm, runs.model)
            times.append(perf_counter() - start)
        result[f"ms_a_window_batch_{batch}"] = round(float(np.median(times)) * 1e3 / batch, 3)
    return result


def write_samples() -> None:
    """Write the first sample of each class as the JSON body of a call."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    for (item, answer), _ in zip(samples(), LABELS, strict=False):
        window = [float(f"{value:.4g}") for value in item["window"]]
        body = {"window": window, "rpm": round(item["rpm"], 1)}
        (folder / f"{answer['label']}-1.json").write_text(
            json.dumps(body, separators=(",", ":")) + "\n"
        )


def main() -> int:
    """Write evaluation.json, evaluation.png and the samples; return 1 if a bar is missed."""
    runs = Runs()
    timings = timing(runs)
    noise, kept = over_noise(runs)
    truth, found, anomaly = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    novel_truth, _, novel = runs.run(TEST, NOVEL, 400, SEED + 40)
    scores = {name: anomaly[truth == name] for name in LABELS}
    scores |= {name: novel[novel_truth == name] for name in NOVEL}
    healthy = scores.pop("healthy")
    bars = {
        f"macro-F1 at {snr} dB >= {MIN_F1}": outcome["macro_f1"] >= MIN_F1
        for snr, outcome in noise.items()
        if float(snr) >= MIN_SNR_DB
    }
    packages = ("numpy", "onnx", "onnxruntime", "scikit-learn", "torch")
    report = {
        "bars": bars,
        "macro_f1_by_snr_db": noise,
        "from_5_db": macro_f1(truth, found),
        "anomaly_from_5_db": anomalies(healthy, scores),
        "share_named_right_by_severity": over_severity(runs),
        "elsewhere": elsewhere(runs),
        "timing": timings,
        "domains": {
            "training": asdict(TRAINING),
            "validation": asdict(VALIDATION),
            "test": asdict(TEST),
        },
        "seed": SEED,
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
    }
    (HERE / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    matrix = confusion_matrix(truth, found, labels=LABELS, normalize="true")
    draw(HERE / "evaluation.png", report, matrix, {"healthy": healthy} | scores)
    write_samples()
    print(json.dumps({k: v for k, v in report.items() if k != "domains"}, indent=2))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
