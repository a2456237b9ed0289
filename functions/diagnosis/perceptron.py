"""The recipe: a regularised perceptron, Platt calibration on inner folds, a referral threshold."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedKFold
from torch import nn
from wisconsin import Rows

# Chosen among seven settings by repeated cross-validation inside the training rows of split().
HIDDEN = (128, 64)
STEPS = 150
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1.0
DROPOUT = 0.3
LABEL_SMOOTHING = 0.05
INPUT_NOISE = 0.3

FOLDS = 5
SAFE_ACCURACY = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """Weights as (inputs, outputs), of a network over standardised features giving log-odds."""

    mean: np.ndarray
    scale: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    benign: np.ndarray
    refer_below: float = 0.5

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Return the log-odds of malignancy, one a row."""
        h = (features - self.mean) / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.maximum(h @ weight + bias, 0.0)
        return (h @ self.weights[-1] + self.biases[-1])[:, 0]


def fit(rows: Rows, seed: int = 0) -> Perceptron:
    """Train, calibrate and choose the referral threshold on these rows alone."""
    outside = _out_of_fold_log_odds(rows, seed)
    slope, offset = _platt(outside, rows.malignant)
    raw = _train(rows, seed)
    return Perceptron(
        mean=raw.mean,
        scale=raw.scale,
        # Platt scaling is folded into the last layer: the graph needs no operator for it.
        weights=(*raw.weights[:-1], (raw.weights[-1] * slope).astype(np.float32)),
        biases=(*raw.biases[:-1], (raw.biases[-1] * slope + offset).astype(np.float32)),
        benign=raw.benign,
        refer_below=_refer_below(slope * outside + offset, rows.malignant),
    )


def _train(rows: Rows, seed: int) -> Perceptron:
    """Train the network once, full batch, and return its weights."""
    torch.manual_seed(seed)
    mean, scale = rows.features.mean(0), rows.features.std(0)
    inputs = torch.from_numpy((rows.features - mean) / scale)
    targets = torch.from_numpy(rows.malignant.astype(np.float32))
    targets = targets * (1 - 2 * LABEL_SMOOTHING) + LABEL_SMOOTHING
    layers = [nn.Linear(inputs.shape[1], HIDDEN[0]), nn.Linear(*HIDDEN), nn.Linear(HIDDEN[1], 1)]
    network = nn.Sequential(
        *(part for layer in layers[:-1] for part in (layer, nn.ReLU(), nn.Dropout(DROPOUT))),
        layers[-1],
    )
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        noisy = inputs + INPUT_NOISE * torch.randn_like(inputs)
        scores = network(noisy).squeeze(1)
        nn.functional.binary_cross_entropy_with_logits(scores, targets).backward()
        optimizer.step()
        schedule.step()
    return Perceptron(
        mean=mean,
        scale=scale,
        weights=tuple(layer.weight.detach().numpy().T.copy() for layer in layers),
        biases=tuple(layer.bias.detach().numpy().copy() for layer in layers),
        benign=rows.features[rows.malignant == 0].mean(0),
    )


def _out_of_fold_log_odds(rows: Rows, seed: int) -> np.ndarray:
    """Return for every row the log-odds of a network that was trained without it."""
    scores = np.empty(len(rows.malignant))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for inside, outside in folds.split(rows.features, rows.malignant):
        network = _train(Rows(rows.features[inside], rows.malignant[inside]), seed)
        scores[outside] = network.log_odds(rows.features[outside])
    return scores


def _platt(scores: np.ndarray, malignant: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of Platt's logistic map, with his smoothed targets."""
    positives = int(malignant.sum())
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(malignant) - positives + 2)
    targets = np.where(malignant == 1, high, low)

    def loss(theta: np.ndarray) -> float:
        z = theta[0] * scores + theta[1]
        return float(np.mean(np.logaddexp(0.0, z) - targets * z))

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(offset)


def _refer_below(log_odds: np.ndarray, malignant: np.ndarray) -> float:
    """Return the lowest confidence (in steps of 0.01) that keeps SAFE_ACCURACY above it."""
    right = (log_odds >= 0) == (malignant == 1)
    confidence = 1 / (1 + np.exp(-np.abs(log_odds)))
    for threshold in np.arange(0.50, 1.0, 0.01):
        kept = confidence >= threshold
        if kept.any() and right[kept].mean() >= SAFE_ACCURACY:
            return round(float(threshold), 2)
    return 1.0
