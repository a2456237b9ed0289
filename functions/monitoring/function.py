"""Condition monitoring of a rotating machine from one vibration window and its speed."""

from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from edgefn import InvalidInput, Model, Tensor, edge_function

WINDOW = 4096
RATE_HZ = 12_800.0
LABELS = ("healthy", "imbalance", "misalignment", "inner_race", "outer_race", "ball")


class Bearing(NamedTuple):
    """Geometry of the bearing that is watched: put yours into BEARING, no retraining needed."""

    balls: int
    ball_mm: float
    pitch_mm: float
    contact_deg: float = 0.0


BEARING = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)

# Half orders show looseness, the first three imbalance and misalignment.
_ORDERS = np.array([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6])
_BIN_HZ = RATE_HZ / WINDOW
_REFERENCE_BINS = 2400 / 60 / _BIN_HZ
# Half-overlapping 1600 Hz bands from 600 Hz on: one of them holds the resonance a defect rings.
_BAND_BINS = 512
_BANDS = np.arange(192, 192 + 6 * 256, 256)[:, None] + np.arange(_BAND_BINS)
_TAPER = np.hanning(_BAND_BINS).astype(np.float32)
_HANN = np.hanning(WINDOW).astype(np.float32)
_ENVELOPE_HANN = np.hanning(2 * _BAND_BINS).astype(np.float32)
# Rolling elements slip: a defect is up to 2 % slower than its geometry says.
_SEARCH = np.linspace(-0.025, 0.005, 12)


class Condition(BaseModel):
    """What one window says about the machine."""

    label: str = Field(description="the most probable condition")
    probability: float
    probabilities: dict[str, float]
    anomaly: float = Field(
        description="0 to 1; above 0.5: rarer than 1 in 100 healthy training windows"
    )


@edge_function(
    model="monitoring.onnx",
    deadline_ms=100,
    batch=16,
    idempotent=True,
    evaluate="evaluate.py:samples",
    calibrate="evaluate.py:calibration",
    max_accuracy_drop=0.005,
)
def monitoring(
    window: list[Tensor["float32", 4096]],
    rpm: list[Annotated[float, Field(ge=600, le=6000)]],
    model: Model,
) -> list[Condition]:
    """Name the fault in each window (g at 12.8 kHz; rpm from a tachometer).

    The anomaly score comes from a separate detector in the same graph, which has only ever seen
    healthy windows: it adds up by how much features exceed what is usual, both alone and given all
    the others. It knows no fault, and therefore also sees those without a class.
    """
    windows = np.array(window)
    if not np.isfinite(windows).all() or not windows.std(axis=1).all():
        raise InvalidInput("window: it is constant or not finite; is the sensor connected?")
    probabilities, anomaly = model(features(windows, np.array(rpm), BEARING))
    return [
        Condition(
            label=LABELS[best],
            probability=shares[best],
            probabilities=dict(zip(LABELS, shares, strict=True)),
            anomaly=score,
        )
        for best, shares, score in zip(
            probabilities.argmax(1).tolist(), probabilities.tolist(), anomaly.tolist(), strict=True
        )
    ]


def features(windows: np.ndarray, rpm: np.ndarray, bearing: Bearing) -> np.ndarray:
    """Return (batch, features) float32, as independent of the speed as the physics allows."""
    shaft_bins = rpm / 60 / _BIN_HZ
    centred = windows - windows.mean(1, keepdims=True)
    parts = (_harmonics(centred, shaft_bins), _envelopes(centred, shaft_bins, bearing))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _harmonics(windows: np.ndarray, shaft_bins: np.ndarray) -> np.ndarray:
    """Return log levels over the speed: at each shaft order, in all, of the floor; and kurtosis."""
    spectrum = np.fft.rfft(windows * _HANN)
    power = spectrum.real**2 + spectrum.imag**2
    power /= (_HANN.sum() / 2) ** 2 * (shaft_bins[:, None] / _REFERENCE_BINS) ** 2
    middle = np.rint(shaft_bins[:, None] * _ORDERS).astype(int)
    rows = np.arange(len(windows))[:, None, None]
    near = middle[:, :, None] + np.arange(-1, 2)
    peaks = power[rows, near.clip(1, power.shape[1] - 1)].sum(2)
    floor = _median(power[:, 2:129])
    square = windows**2
    mean = square.mean(1, keepdims=True)
    kurtosis = (square**2).mean(1, keepdims=True) / (mean**2 + 1e-30)
    level = power[:, 1:].sum(1, keepdims=True)
    return np.log10(np.concatenate([peaks, level, floor, kurtosis], axis=1) + 1e-9)


def _median(values: np.ndarray) -> np.ndarray:
    """Return the median over the last axis (np.median takes several times as long)."""
    middle = values.shape[-1] // 2
    return np.partition(values, middle, axis=-1)[..., middle, None]


def _envelopes(windows: np.ndarray, shaft_bins: np.ndarray, bearing: Bearing) -> np.ndarray:
    """Return how far the bearing's orders stand out of the bands' squared-envelope spectra.

    Each band is cut out of the spectrum and shifted to zero, so that one short inverse transform
    gives its analytic signal, and the squared magnitude of that is the envelope.
    """
    spectrum = np.fft.rfft(windows)[:, _BANDS]
    # Gear and fan tones would drown the impacts: no line may exceed three times the median.
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    cap = 3 * _median(magnitude)
    spectrum *= _TAPER * np.minimum(1.0, cap / (magnitude + 1e-30))
    analytic = np.fft.ifft(spectrum, 2 * _BAND_BINS)
    envelope = analytic.real**2 + analytic.imag**2
    mean = envelope.mean(2, keepdims=True) + 1e-30
    kurtosis = np.log10((envelope**2).mean(2) / mean[:, :, 0] ** 2)
    beats = np.fft.rfft((envelope / mean - 1) * _ENVELOPE_HANN)
    lines = beats.real**2 + beats.imag**2
    floor = _median(lines[:, :, 3:400])
    orders = _defect_orders(bearing)
    position = shaft_bins[:, None, None] * (orders[:, None] * (1 + _SEARCH))
    nearest = np.rint(position).astype(int).clip(1, lines.shape[2] - 1)
    rows = np.arange(len(windows))[:, None, None, None]
    bands = np.arange(len(_BANDS))[None, :, None, None]
    peaks = lines[rows, bands, nearest[:, None]].max(3)
    scores = np.log10(1 + peaks / (floor + 1e-30))
    return np.concatenate(
        [scores.max(1), scores.mean(1), kurtosis.max(1)[:, None], kurtosis.mean(1)[:, None]], axis=1
    )


def _defect_orders(bearing: Bearing) -> np.ndarray:
    """Return the orders of the shaft at which a defect of each part of the bearing shows."""
    ratio = bearing.ball_mm / bearing.pitch_mm * np.cos(np.radians(bearing.contact_deg))
    cage = (1 - ratio) / 2
    outer = bearing.balls * cage
    inner = bearing.balls * (1 + ratio) / 2
    ball = bearing.pitch_mm / bearing.ball_mm * (1 - ratio**2)
    return np.array(
        [1, 2, 3, cage, outer, 2 * outer, 3 * outer, 4 * outer]
        + [inner - 1, inner, inner + 1, 2 * inner - 1, 2 * inner, 3 * inner]
        + [ball / 2, ball - cage, ball, ball + cage, 2 * ball, 3 * ball]
    )
