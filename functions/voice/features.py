"""What the model hears: the labels, the one-second window, and 40-band log-mel features."""

import numpy as np

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = (*KEYWORDS, "unknown", "silence")

RATE_HZ = 16_000
WINDOW = RATE_HZ  # samples the model hears: one second
FRAME, HOP, MELS = 640, 320, 40  # 40 ms frames every 20 ms
FRAMES = 1 + (WINDOW - FRAME) // HOP

_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7_600.0
_QUIETEST_RMS = 1e-4  # below -80 dBFS a clip is not amplified any further
_FLOOR = 1e-5  # -50 dB under the clip's own level: what is quieter tells nothing
_CENTRE, _SCALE = -4.0, 3.0  # brings the logarithms to about zero mean and unit spread
_SEARCH_HOP = 160
_TOGETHER = 4


def _mel_filters() -> np.ndarray:
    """Triangular filters on the mel scale, each weighing to one: shape (bins, MELS)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FRAME, 1 / RATE_HZ)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    return filters / filters.sum(axis=0)


_HANN = np.hanning(FRAME + 1)[:-1].astype(np.float32)
_FILTERS = (_mel_filters() / np.square(_HANN).sum()).astype(np.float32)


def log_mel(windows: np.ndarray) -> np.ndarray:
    """Turn (n, WINDOW) samples in [-1, 1] into (n, 1, FRAMES, MELS) features.

    Each clip is first brought to the same level, so that the distance to the microphone does not
    matter. A few clips at a time, because their spectra then stay in the processor's cache.
    """
    parts = [_log_mel(windows[at : at + _TOGETHER]) for at in range(0, len(windows), _TOGETHER)]
    return np.concatenate(parts)


def _log_mel(windows: np.ndarray) -> np.ndarray:
    level = np.sqrt(np.mean(np.square(windows), axis=1, keepdims=True))
    levelled = windows / np.maximum(level, _QUIETEST_RMS)
    frames = np.lib.stride_tricks.sliding_window_view(levelled, FRAME, axis=1)[:, ::HOP]
    spectrum = np.fft.rfft(frames * _HANN, axis=2)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    logs = np.log(power.astype(np.float32) @ _FILTERS + np.float32(_FLOOR))
    return ((logs - np.float32(_CENTRE)) / np.float32(_SCALE))[:, None]


def fit_window(samples: np.ndarray) -> np.ndarray:
    """Bring a clip to one second: pad a short one equally, cut a long one where it is loudest."""
    missing = WINDOW - len(samples)
    if missing > 0:
        return np.pad(samples, (missing // 2, missing - missing // 2))
    if missing == 0:
        return samples
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    starts = np.arange(0, -missing + 1, _SEARCH_HOP)
    start = starts[np.argmax(energy[starts + WINDOW] - energy[starts])]
    return samples[start : start + WINDOW]
