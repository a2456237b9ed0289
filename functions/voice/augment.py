"""Put a dry word into a scene: a room, a place in time, noise at a stated ratio, a level.

The signal-to-noise ratio is that of the powers of the reverberated word and of the noise, both over
the whole scene. Everything random comes from the generator that is handed in.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from features import RATE_HZ, WINDOW
from scipy.fft import irfft, next_fast_len, rfft

Noise = Literal["white", "pink", "hum", "babble"]
NOISES: tuple[Noise, ...] = ("white", "pink", "hum", "babble")

_KNOTS = 9  # of the curve of a microphone
_TALKERS = 16  # at once in babble
_SILENCE_DBFS = (-110.0, -20.0)  # of a scene in which nobody speaks; -110 rounds to zeros
_SPEECH_DBFS = (-40.0, -12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is done to a word beside the noise's ratio."""

    length: int = WINDOW  # samples in the scene
    reverberant: float = 0.5  # probability of a room
    decay_s: tuple[float, float] = (0.1, 0.5)  # of the room by 60 dB
    colour_db: float = 0.0  # most that the microphone raises or lowers some frequencies


def _unit(samples: np.ndarray) -> np.ndarray:
    """Scale to a power of one."""
    return samples / np.sqrt(np.mean(np.square(samples)) + 1e-12)


def _decibels(value: float) -> float:
    """A ratio of decibels as a factor of amplitude."""
    return float(10 ** (value / 20))


def _coloured(rng: np.random.Generator, length: int, slope: float) -> np.ndarray:
    """Noise whose power falls with the given power of frequency, from 40 Hz."""
    padded = next_fast_len(length, real=True)
    spectrum = rfft(rng.standard_normal(padded, dtype=np.float32))
    hertz = np.fft.rfftfreq(padded, 1 / RATE_HZ)
    return irfft(spectrum * np.maximum(hertz, 40.0) ** (-slope / 2), padded)[:length]


def _hum(rng: np.random.Generator, length: int) -> np.ndarray:
    """Mains hum with its harmonics, and a little hiss."""
    mains_hz = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    tone = np.exp(2j * np.pi * mains_hz / RATE_HZ * np.arange(length))
    steepness, harmonic, total = rng.uniform(0.5, 1.5), np.ones(length), np.zeros(length)
    for order in range(1, 16):
        harmonic = harmonic * tone
        phase = np.exp(2j * np.pi * rng.random())
        total += rng.uniform(0.2, 1) / order**steepness * (phase * harmonic).real
    return _unit(total) + rng.standard_normal(length) * rng.uniform(0.02, 0.2)


def _babble(rng: np.random.Generator, length: int, talk: list[np.ndarray]) -> np.ndarray:
    """Several people talking at once: words of the corpus in a row, summed."""
    total = np.zeros(length, np.float32)
    for _ in range(_TALKERS):
        stream = np.zeros(0, np.float32)
        while len(stream) < length + RATE_HZ // 2:
            stream = np.concatenate((stream, talk[rng.integers(len(talk))]), dtype=np.float32)
        start = rng.integers(len(stream) - length)
        total += _unit(stream[start : start + length]) * _decibels(rng.uniform(-4, 4))
    return total


def noise(rng: np.random.Generator, kind: Noise, length: int, talk: list[np.ndarray]) -> np.ndarray:
    """Noise of one kind with a power of one; babble is made of the words in `talk`."""
    match kind:
        case "white":
            made = _coloured(rng, length, 0.0)
        case "pink":
            made = _coloured(rng, length, rng.uniform(0.8, 1.6))
        case "hum":
            made = _hum(rng, length)
        case "babble":
            made = _babble(rng, length, talk)
    return _unit(made)


def _room(rng: np.random.Generator, decay_s: float) -> np.ndarray:
    """An impulse response: the direct sound, a gap, then noise that decays exponentially."""
    times = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_s)
    tail[: rng.integers(8, 160)] = 0
    tail *= _decibels(-rng.uniform(0, 12)) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1
    return tail


def _filtered(rng: np.random.Generator, word: np.ndarray, setting: Setting) -> np.ndarray:
    """The word as it arrives: through a room, perhaps, and through a microphone."""
    decay_s = rng.uniform(*setting.decay_s)
    response = _room(rng, decay_s) if rng.random() < setting.reverberant else np.ones(1)
    length = len(word) + len(response) - 1
    padded = next_fast_len(length, real=True)
    spectrum = rfft(word, padded) * rfft(response, padded)
    if setting.colour_db:
        knots = rng.uniform(-setting.colour_db, setting.colour_db, _KNOTS)
        curve = np.interp(np.linspace(0, _KNOTS - 1, len(spectrum)), np.arange(_KNOTS), knots)
        spectrum *= 10 ** (curve / 20)
    return irfft(spectrum, padded)[:length].astype(np.float32)


def _recorded(samples: np.ndarray) -> np.ndarray:
    """Clip and round like a 16-bit recording, then back to [-1, 1]."""
    return (np.clip(np.round(samples * 32_768), -32_768, 32_767) / 32_768).astype(np.float32)


def silence(
    rng: np.random.Generator, kind: Noise, length: int, talk: list[np.ndarray]
) -> np.ndarray:
    """A scene in which nobody says anything: noise at any level."""
    level = _decibels(rng.uniform(*_SILENCE_DBFS))
    return _recorded(noise(rng, kind, length, talk) * level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Makes scenes of the words of one split, with babble of the same split's other words."""

    talk: list[np.ndarray]

    def scene(
        self,
        rng: np.random.Generator,
        word: np.ndarray | None,
        snr_db: float,
        setting: Setting,
        kind: Noise | None = None,
    ) -> np.ndarray:
        """A recording of the word, or of nobody; an infinite ratio means no noise.

        Generators of the same seed give the same room, place, level and noise at every ratio.
        """
        kind = kind or NOISES[rng.integers(len(NOISES))]
        if word is None:
            return silence(rng, kind, setting.length, self.talk)
        heard = _filtered(rng, word.astype(np.float32), setting)
        scene = np.zeros(setting.length, np.float32)
        start = int(rng.integers(max(1, setting.length - len(word) + 1)))
        heard = heard[: setting.length - start]
        scene[start : start + len(heard)] = heard
        scene /= np.sqrt(np.mean(np.square(scene)))
        level = _decibels(rng.uniform(*_SPEECH_DBFS))
        if np.isfinite(snr_db):
            scene += noise(rng, kind, setting.length, self.talk) * _decibels(-snr_db)
        return _recorded(scene * level)
