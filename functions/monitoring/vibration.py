"""Vibration of a rotating machine, from a physical model of its faults.

A shaft turns at a drifting speed. Its imbalance and misalignment are harmonics of the shaft angle;
a bearing defect is a train of impacts at the angles where a rolling element meets it, each of which
rings a structural resonance; gears, fan and mains add tones, and the sensor adds coloured noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WINDOW = 4096
RATE_HZ = 12_800.0
REFERENCE_HZ = 40.0
LABELS = ("healthy", "imbalance", "misalignment", "inner_race", "outer_race", "ball")
# Never trained on. The rub is for development; the other two are kept for the evaluation.
NOVEL_IN_DEVELOPMENT = ("rub",)
NOVEL = ("looseness", "broken_tooth")

Bands = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """Geometry of a rolling bearing whose outer race stands still."""

    balls: int
    ball_mm: float
    pitch_mm: float
    contact_deg: float = 0.0

    @property
    def _ratio(self) -> float:
        return self.ball_mm / self.pitch_mm * float(np.cos(np.radians(self.contact_deg)))

    @property
    def cage(self) -> float:
        """Turns of the cage (FTF) a turn of the shaft."""
        return (1 - self._ratio) / 2

    @property
    def outer(self) -> float:
        """Passes over a point of the outer race (BPFO) a turn of the shaft."""
        return self.balls * self.cage

    @property
    def inner(self) -> float:
        """Passes over a point of the inner race (BPFI) a turn of the shaft."""
        return self.balls * (1 + self._ratio) / 2

    @property
    def spin(self) -> float:
        """Turns of a ball (BSF) a turn of the shaft."""
        return self.pitch_mm / self.ball_mm * (1 - self._ratio**2) / 2


BEARING_6205 = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)
BEARING_6203 = Bearing(balls=8, ball_mm=6.75, pitch_mm=28.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Bands from which the circumstances of a window are drawn, evenly."""

    rpm: Bands
    load: Bands
    snr_db: Bands
    resonance_hz: Bands
    severity: Bands


TRAINING = Domain(
    rpm=((1200, 1700), (2300, 2800)),
    load=((0.00, 0.25), (0.50, 0.75)),
    snr_db=((-4, -1), (6, 9), (17, 25)),
    resonance_hz=((1800, 2400), (3200, 3900)),
    severity=((0.35, 0.50), (0.75, 1.00)),
)
# What the method was developed on; apart from both training and test.
VALIDATION = Domain(
    rpm=((1750, 1900), (2850, 3000)),
    load=((0.26, 0.34), (0.76, 0.84)),
    snr_db=((1, 2), (11, 12)),
    resonance_hz=((2450, 2600), (4000, 4200)),
    severity=((0.30, 0.34),),
)
TEST = Domain(
    rpm=((1950, 2250), (3050, 3600)),
    load=((0.35, 0.49), (0.85, 1.00)),
    snr_db=((5, 5), (10, 10), (15, 15), (30, 30)),
    resonance_hz=((2650, 3150), (4250, 5000)),
    severity=((0.52, 0.73), (1.02, 1.40)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What one window was recorded under."""

    rpm: float
    load: float
    snr_db: float
    resonance_hz: float
    severity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a fault acts on: the shaft's angle over the window, and its speed over 40 Hz."""

    angle: np.ndarray
    speed: float
    at: Circumstances
    rng: np.random.Generator
    bearing: Bearing

    def tone(self, order: float, level: float) -> np.ndarray:
        """Return a harmonic of the shaft at a random phase."""
        return level * np.cos(order * self.angle + self.rng.uniform(0, 2 * np.pi))

    def impacts(self, order: float) -> tuple[np.ndarray, np.ndarray]:
        """Return shaft angles and levels of impacts: they slip by up to 2 %, and jitter by 1 %."""
        spacing = 2 * np.pi / (order * self.rng.uniform(0.98, 1.0))
        count = int((self.angle[-1] - self.angle[0]) / spacing) + 3
        steps = spacing * (1 + 0.01 * self.rng.standard_normal(count))
        angles = self.angle[0] - self.rng.uniform(0, spacing) + np.cumsum(steps)
        return angles, self.impact_level() * (1 + 0.15 * self.rng.standard_normal(count))

    def impact_level(self) -> float:
        """Return the level of an impact, which grows with the load and the speed."""
        return 1.5 * self.at.severity * (0.6 + 0.4 * self.at.load) * self.speed

    def ring(self, angles: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the structure ringing at its two resonances after these impacts."""
        position = np.interp(angles, self.angle, np.arange(WINDOW))
        whole = position.astype(int)
        inside = (whole > 0) & (whole < WINDOW - 1)
        whole, part, levels = whole[inside], (position - whole)[inside], levels[inside]
        train = np.zeros(2 * WINDOW)
        np.add.at(train, whole, levels * (1 - part))
        np.add.at(train, whole + 1, levels * part)
        t = np.arange(WINDOW) / RATE_HZ
        response = np.zeros(2 * WINDOW)
        for share, level in ((1.0, 1.0), (self.rng.uniform(1.15, 1.25), 0.3)):
            w = 2 * np.pi * self.at.resonance_hz * share
            decay = np.exp(-w * self.rng.uniform(0.02, 0.06) * t)
            response[:WINDOW] += level * decay * np.sin(w * t)
        return np.fft.irfft(np.fft.rfft(train) * np.fft.rfft(response))[:WINDOW]


def draw_circumstances(domain: Domain, rng: np.random.Generator) -> Circumstances:
    """Draw each quantity from one of its bands, the bands being equally likely."""

    def draw(bands: Bands) -> float:
        return float(rng.uniform(*bands[rng.integers(len(bands))]))

    return Circumstances(
        rpm=draw(domain.rpm),
        load=draw(domain.load),
        snr_db=draw(domain.snr_db),
        resonance_hz=draw(domain.resonance_hz),
        severity=draw(domain.severity),
    )


def synthesise(
    fault: str, at: Circumstances, rng: np.random.Generator, bearing: Bearing = BEARING_6205
) -> tuple[np.ndarray, float]:
    """Return one window in g, and the speed in rpm as a tachometer would report it."""
    angle = _shaft_angle(at.rpm / 60, rng)
    run = _Run(angle=angle, speed=at.rpm / 60 / REFERENCE_HZ, at=at, rng=rng, bearing=bearing)
    signal = _healthy(run)
    if fault != "healthy":
        signal += _FAULTS[fault](run)
    noise = _coloured_noise(rng)
    noise *= np.sqrt(np.mean(signal**2) / np.mean(noise**2) / 10 ** (at.snr_db / 10))
    reported = (angle[-1] - angle[0]) / (2 * np.pi) * RATE_HZ / (WINDOW - 1) * 60
    return (signal + noise).astype(np.float32), float(reported * (1 + rng.normal(0, 0.002)))


def _shaft_angle(hz: float, rng: np.random.Generator) -> np.ndarray:
    """Return the angle over the window: the speed drifts by up to 1.5 % and ripples by 0.3 %."""
    t = np.arange(WINDOW) / RATE_HZ
    drift = rng.uniform(-0.015, 0.015) * (t / t[-1] - 0.5)
    ripple = 0.003 * np.sin(2 * np.pi * rng.uniform(2, 6) * t + rng.uniform(0, 2 * np.pi))
    return rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * hz * (1 + drift + ripple)) / RATE_HZ


def _coloured_noise(rng: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls with frequency to a random power between 0 and 1."""
    spectrum = np.fft.rfft(rng.standard_normal(WINDOW))
    frequency = np.maximum(np.fft.rfftfreq(WINDOW, 1 / RATE_HZ), 20.0)
    return np.fft.irfft(spectrum * frequency ** (-rng.uniform(0, 1) / 2), WINDOW)


def _load_zone(angles: np.ndarray, load: float) -> np.ndarray:
    """Return Stribeck's load distribution, which narrows as the load falls."""
    extent = 0.3 + 0.2 * load
    return np.maximum(1 - (1 - np.cos(angles)) / (2 * extent), 0.0) ** 1.5


def _healthy(run: _Run) -> np.ndarray:
    """Return what every machine does: residual harmonics, gear mesh, fan, mains."""
    u, speed = run.rng.uniform, run.speed
    signal = run.tone(1, u(0.05, 0.15) * speed**2)
    signal += run.tone(2, u(0.02, 0.06) * speed) + run.tone(3, u(0.01, 0.04) * speed)
    teeth = int(run.rng.integers(19, 32))
    mesh = run.tone(teeth, u(0.15, 0.35)) + run.tone(2 * teeth, u(0.05, 0.15))
    signal += mesh * (0.4 + 0.6 * run.at.load) * speed * (1 + run.tone(1, u(0.05, 0.2)))
    signal += run.tone(int(run.rng.integers(6, 10)), u(0.03, 0.08) * speed)
    mains = 2 * np.pi * 100 * np.arange(WINDOW) / RATE_HZ
    return signal + u(0.02, 0.05) * np.cos(mains + u(0, 2 * np.pi))


def _imbalance(run: _Run) -> np.ndarray:
    """Return the 1x of a mass off the axis, whose force grows with the square of the speed."""
    return run.tone(1, 0.8 * run.at.severity * run.speed**2)


def _misalignment(run: _Run) -> np.ndarray:
    """Return the 2x and 3x, with some 1x, of a crooked coupling, which grow with the load."""
    level = run.at.severity * (0.5 + 0.5 * run.at.load) * run.speed
    first, second, third = run.rng.uniform((0.05, 0.5, 0.1), (0.2, 0.7, 0.3)) * level
    return run.tone(1, first) + run.tone(2, second) + run.tone(3, third)


def _outer_race(run: _Run) -> np.ndarray:
    """Return the impacts on a defect that stays in the load zone."""
    return run.ring(*run.impacts(run.bearing.outer))


def _inner_race(run: _Run) -> np.ndarray:
    """Return the impacts on a defect that turns with the shaft through the load zone."""
    angles, levels = run.impacts(run.bearing.inner)
    zone = _load_zone(angles + run.rng.uniform(0, 2 * np.pi), run.at.load)
    return run.ring(angles, 1.5 * levels * zone)


def _ball(run: _Run) -> np.ndarray:
    """Return the impacts of a ball's defect on both races in turn, as the cage carries it round."""
    angles, levels = run.impacts(2 * run.bearing.spin)
    levels[1::2] *= run.rng.uniform(0.5, 1.0)
    zone = _load_zone(run.bearing.cage * angles + run.rng.uniform(0, 2 * np.pi), 1.0)
    return run.ring(angles, levels * (0.3 + 1.2 * zone))


def _looseness(run: _Run) -> np.ndarray:
    """Return the half and whole harmonics, up to the eighth, of a loose foot."""
    orders = np.arange(1, 17) / 2
    levels = 0.4 * run.at.severity * run.speed * run.rng.uniform(0.4, 1.0, 16)
    levels /= np.sqrt(orders + 0.5)
    return np.sum([run.tone(o, level) for o, level in zip(orders, levels, strict=True)], axis=0)


def _broken_tooth(run: _Run) -> np.ndarray:
    """Return one strong impact a turn of the shaft, which cannot slip."""
    turns = int((run.angle[-1] - run.angle[0]) / (2 * np.pi)) + 1
    angles = run.angle[0] + 2 * np.pi * (np.arange(turns) + run.rng.uniform())
    return run.ring(angles, 3 * run.impact_level() * (1 + 0.1 * run.rng.standard_normal(turns)))


def _rub(run: _Run) -> np.ndarray:
    """Return friction noise over part of each turn."""
    contact = np.maximum(np.cos(run.angle + run.rng.uniform(0, 2 * np.pi)) - 0.7, 0.0) / 0.3
    return run.at.severity * run.speed * contact * run.rng.standard_normal(WINDOW)


_FAULTS: dict[str, Callable[[_Run], np.ndarray]] = {
    "imbalance": _imbalance,
    "misalignment": _misalignment,
    "inner_race": _inner_race,
    "outer_race": _outer_race,
    "ball": _ball,
    "looseness": _looseness,
    "broken_tooth": _broken_tooth,
    "rub": _rub,
}
