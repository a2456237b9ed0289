"""Numbers of an evaluation: accuracy with its interval, thresholds, confusions, durations."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from features import KEYWORDS, LABELS

RESAMPLES = 4_000
_SEED = 91


def with_interval(right: np.ndarray, speakers: np.ndarray) -> dict[str, Any]:
    """Accuracy with a 95 % interval: a bootstrap over speakers, whose clips are not independent."""
    rng = np.random.default_rng(_SEED)
    names = np.unique(speakers)
    hits = np.array([right[speakers == name].sum() for name in names])
    counts = np.array([np.sum(speakers == name) for name in names])
    drawn = rng.integers(len(names), size=(RESAMPLES, len(names)))
    low, high = np.percentile(hits[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return {
        "accuracy": round(float(right.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "clips": len(right),
    }


def thresholds(labels: np.ndarray, said: np.ndarray, sure: np.ndarray) -> list[dict[str, float]]:
    """What a caller gains and loses who acts only on keywords of at least some probability."""
    is_keyword, says_keyword = labels < len(KEYWORDS), said < len(KEYWORDS)
    rows = []
    for least in (0.0, 0.5, 0.7, 0.8, 0.9):
        acted = says_keyword & (sure >= least)
        rows.append(
            {
                "probability": least,
                "keywords_missed": round(float(np.mean(~acted[is_keyword])), 4),
                "keywords_confused": round(
                    float(np.mean((acted & (said != labels))[is_keyword])), 4
                ),
                "false_alarms": round(float(np.mean(acted[~is_keyword])), 4),
            }
        )
    return rows


def confusions(labels: np.ndarray, said: np.ndarray) -> dict[str, Any]:
    """Which label is taken for which, and each one's recall and precision."""
    counts = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(counts, (labels, said), 1)
    recall = np.diag(counts) / counts.sum(axis=1)
    precision = np.diag(counts) / np.maximum(1, counts.sum(axis=0))
    return {
        "recall": dict(zip(LABELS, recall.round(4).tolist(), strict=True)),
        "precision": dict(zip(LABELS, precision.round(4).tolist(), strict=True)),
        "confusion": counts.tolist(),
    }


def milliseconds(work: Callable[[], Any], calls: int = 300) -> dict[str, float]:
    """What one call takes by the clock, and of the processor, which neighbours disturb less."""
    for _ in range(20):
        work()
    clock_s, processor_s = np.empty(calls), np.empty(calls)
    for call in range(calls):
        started, busy = time.perf_counter(), time.process_time()
        work()
        processor_s[call] = time.process_time() - busy
        clock_s[call] = time.perf_counter() - started
    median, p95 = np.percentile(clock_s, [50, 95])
    found = {"median_ms": median, "p95_ms": p95, "processor_ms": np.median(processor_s)}
    return {name: round(1e3 * float(value), 3) for name, value in found.items()}
