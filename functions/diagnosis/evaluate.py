"""Evaluate the shipped diagnosis model through function.py, and the recipe by cross-validation."""

import importlib.util
import inspect
import json
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
from scipy import stats
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

sys.path.insert(0, str(Path(__file__).parent))
from charts import draw
from wisconsin import HELD_OUT, SPLIT_SEED, Rows, all_rows, split

HERE = Path(__file__).parent
FOLDS = 10
REPEATS = 5
SEED = 7
MIN_ACCURACY = 0.97
MIN_AUC = 0.99


def samples() -> Iterator[tuple[dict[str, np.ndarray], dict[str, str]]]:
    """Yield the held-out masses, each with what should be answered."""
    _, held_out = split()
    for features, malignant in zip(*held_out, strict=True):
        yield {"features": features}, {"label": "malignant" if malignant else "benign"}


def calibration() -> Iterator[dict[str, np.ndarray]]:
    """Yield the masses that the model was trained on."""
    training, _ = split()
    for features in training.features:
        yield {"features": features}


class Shipped:
    """The model file behind function.py, run by ONNX Runtime on one thread."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(HERE / "diagnosis.onnx", options)
        self.refer_below = float(self._session.get_modelmeta().custom_metadata_map["refer_below"])

    def __call__(self, features: np.ndarray) -> list[np.ndarray]:
        """Return the probabilities and the contributions."""
        return self._session.run(None, {"features": features})


def load_function() -> ModuleType:
    """Import function.py under a name of its own: every function folder has one."""
    spec = importlib.util.spec_from_file_location("diagnosis_function", HERE / "function.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def wilson(right: int, total: int) -> list[float]:
    """Return the 95 % Wilson interval of a share."""
    interval = stats.binomtest(right, total).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def calibration_error(probability: np.ndarray, malignant: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width."""
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        (which == b).mean() * abs(probability[which == b].mean() - malignant[which == b].mean())
        for b in np.unique(which)
    ]
    return float(np.sum(gaps))


def hold_out(call: Callable[..., Any], model: Shipped) -> tuple[dict[str, Any], np.ndarray]:
    """Run the function over the held-out masses, and return the numbers and the probabilities."""
    inputs, labels = zip(*samples(), strict=True)
    rows = [item["features"] for item in inputs]
    answers = [a for at in range(0, len(rows), 64) for a in call(rows[at : at + 64], model)]
    truth = np.array([label["label"] == "malignant" for label in labels])
    found = np.array([answer.label == "malignant" for answer in answers])
    probability = np.array([answer.probability for answer in answers])
    kept = np.array([not answer.refer for answer in answers])
    right = found == truth
    generator = np.random.default_rng(SEED)
    draws = generator.integers(0, len(truth), (2000, len(truth)))
    aucs = [roc_auc_score(truth[d], probability[d]) for d in draws if 0 < truth[d].sum() < len(d)]
    numbers = {
        "masses": len(truth),
        "accuracy": float(right.mean()),
        "accuracy_ci95": wilson(int(right.sum()), len(right)),
        "sensitivity": float(found[truth].mean()),
        "sensitivity_ci95": wilson(int(found[truth].sum()), int(truth.sum())),
        "specificity": float((~found[~truth]).mean()),
        "specificity_ci95": wilson(int((~found[~truth]).sum()), int((~truth).sum())),
        "auc": float(roc_auc_score(truth, probability)),
        "auc_ci95": np.quantile(aucs, [0.025, 0.975]).tolist(),
        "brier": float(brier_score_loss(truth, probability)),
        "calibration_error": calibration_error(probability, truth),
        "referred": float(1 - kept.mean()),
        "accuracy_of_the_rest": float(right[kept].mean()),
        "accuracy_of_the_rest_ci95": wilson(int(right[kept].sum()), int(kept.sum())),
        "contributions_error": contributions_error(model, np.array(rows)),
    }
    return numbers, probability


def contributions_error(model: Shipped, features: np.ndarray) -> float:
    """Return how far, at most, contributions are from adding up to the change of the log-odds."""
    train, _ = split()
    benign = train.features[train.malignant == 0].mean(0)
    probability, contributions = model(np.vstack([benign, features]).astype(np.float32))
    # Near 0 and 1 float32 probabilities do not hold the log-odds any more.
    clear = np.abs(probability[1:] - 0.5) < 0.4999
    log_odds = np.log(probability / (1 - probability))
    gap = contributions[1:].sum(1) - (log_odds[1:] - log_odds[0])
    return float(np.abs(gap[clear]).max())


def cross_validate(progress: Callable[[int], None]) -> tuple[dict[str, Any], np.ndarray]:
    """Cross-validate the recipe over all rows; return the numbers and (repeat, row) probabilities.

    The intervals are Nadeau and Bengio's: the folds of a repeated cross-validation share training
    rows, so that their plain standard error is far too small.
    """
    # Only this needs torch: samples() has to work without it.
    from perceptron import fit

    rows = all_rows()
    probabilities = np.empty((REPEATS, len(rows.malignant)))
    accuracies, aucs, referred, rest = [], [], [], []
    for repeat in range(REPEATS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED + repeat)
        for inside, outside in folds.split(*rows):
            network = fit(Rows(rows.features[inside], rows.malignant[inside]), repeat)
            p = 1 / (1 + np.exp(-network.log_odds(rows.features[outside])))
            truth = rows.malignant[outside]
            right = (p >= 0.5) == truth
            kept = np.maximum(p, 1 - p) >= network.refer_below
            probabilities[repeat, outside] = p
            accuracies.append(right.mean())
            aucs.append(roc_auc_score(truth, p))
            referred.append(1 - kept.mean())
            rest.append(right[kept].mean())
            progress(len(accuracies))
    pooled = probabilities.ravel(), np.tile(rows.malignant, REPEATS)
    numbers = {
        "folds": FOLDS,
        "repeats": REPEATS,
        "accuracy": float(np.mean(accuracies)),
        "accuracy_ci95": corrected_interval(accuracies),
        "auc": float(np.mean(aucs)),
        "auc_ci95": corrected_interval(aucs),
        "brier": float(brier_score_loss(pooled[1], pooled[0])),
        "calibration_error": calibration_error(*pooled),
        "referred": float(np.mean(referred)),
        "accuracy_of_the_rest": float(np.mean(rest)),
        "accuracy_of_the_rest_ci95": corrected_interval(rest),
    }
    return numbers, probabilities


def corrected_interval(scores: list[float]) -> list[float]:
    """Return the 95 % interval of a mean over folds (Nadeau and Bengio, 2003)."""
    spread = np.var(scores, ddof=1) * (1 / len(scores) + 1 / (FOLDS - 1))
    half = stats.t.ppf(0.975, len(scores) - 1) * np.sqrt(spread)
    return [float(np.mean(scores) - half), float(min(1.0, np.mean(scores) + half))]


def timing(call: Callable[..., Any], model: Shipped) -> dict[str, float]:
    """Return the median microseconds a call takes, with the model and without it."""
    rows = [item["features"] for item, _ in samples()]
    result = {}
    for batch in (1, 32, 64):
        chunk = rows[:batch]
        answer = model(np.array(chunk))
        for name, runner in (("call", model), ("python_only", lambda _, answer=answer: answer)):
            times = []
            for _ in range(1000):
                start = perf_counter()
                call(chunk, runner)
                times.append(perf_counter() - start)
            result[f"{name}_us_an_item_batch_{batch}"] = round(np.median(times) * 1e6 / batch, 2)
    return result


def main() -> int:
    """Write evaluation.json and evaluation.png; return 1 if a bar is missed."""
    function, model = load_function(), Shipped()
    call = inspect.unwrap(function.diagnosis)
    held_out, probability = hold_out(call, model)
    timings = timing(call, model)
    total = FOLDS * REPEATS
    validated, outside = cross_validate(
        lambda done: print(f"\rcross-validation: fold {done} of {total}", end="", flush=True)
    )
    print()
    bars = {
        f"cross-validated accuracy >= {MIN_ACCURACY}": validated["accuracy"] >= MIN_ACCURACY,
        f"cross-validated AUC >= {MIN_AUC}": validated["auc"] >= MIN_AUC,
        "contributions add up to within 0.01": held_out["contributions_error"] < 0.01,
        "REFER_BELOW is the model's": model.refer_below == function.REFER_BELOW,
    }
    packages = ("numpy", "onnx", "onnxruntime", "scikit-learn", "torch")
    report = {
        "bars": bars,
        "cross_validation": validated,
        "hold_out": held_out,
        "refer_below": model.refer_below,
        "timing": timings,
        "seeds": {"split": SPLIT_SEED, "held_out": HELD_OUT, "evaluation": SEED},
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
    }
    (HERE / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    truth = np.array([label["label"] == "malignant" for _, label in samples()])
    draw(HERE / "evaluation.png", (truth, probability), (all_rows().malignant, outside), report)
    print(json.dumps(report, indent=2))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
