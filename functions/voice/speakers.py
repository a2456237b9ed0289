"""Speakers that espeak-ng does not have: variants with random formants, pitch and breath.

A hundred variants are too few for a network to learn what all speakers share.
"""

from pathlib import Path

import numpy as np

_IN_A_FOLDER = 60


def _variant(rng: np.random.Generator, name: str) -> str:
    """The text of a random variant, in espeak-ng's format."""
    size, tilt = rng.uniform(0.86, 1.2), rng.uniform(-6, 6)
    pitch = 110 * size**3 * rng.uniform(0.6, 1.5)
    lines = [
        "language variant",
        f"name {name}",
        f"pitch {pitch:.0f} {pitch * rng.uniform(1.1, 1.6):.0f}",
    ]
    for formant in range(9):
        frequency = 100 * (1 if formant == 0 else size * rng.uniform(0.92, 1.08))
        strength = np.clip(100 + formant * tilt + rng.normal(0, 25), 15, 200)
        lines.append(f"formant {formant} {frequency:.0f} {strength:.0f} {rng.uniform(70, 170):.0f}")
    lines.append(f"flutter {rng.integers(0, 6)}")
    lines.append(f"voicing {rng.integers(50, 130)}")
    lines.append(f"consonants {rng.integers(50, 160)} {rng.integers(50, 160)}")
    if rng.random() < 0.3:
        lines.append(f"roughness {rng.integers(1, 5)}")
    if rng.random() < 0.25:
        lines.append("breath " + " ".join(str(amount) for amount in rng.integers(0, 40, 6)))
        lines.append("breathw 150 150 200 200 400 400")
    if rng.random() < 0.2:
        lines.append(f"echo {rng.integers(10, 150)} {rng.integers(5, 40)}")
    if rng.random() < 0.15:
        lines.append(f"klatt {rng.integers(1, 7)}")
    return "\n".join(lines) + "\n"


def invent(count: int, data: Path, folder: Path) -> dict[str, Path]:
    """Make random variants; returns for each one the folder in which espeak-ng finds it.

    These folders, inside of `folder`, are copies of espeak-ng's data made of links. There are
    several because espeak-ng lists no more than 349 voices.
    """
    rng, homes = np.random.default_rng(count), {}
    for number in range(count):
        home = folder / str(number // _IN_A_FOLDER)
        variants = home / data.name / "voices" / "!v"
        if not variants.exists():
            variants.mkdir(parents=True)
            _link(data, home / data.name)
            _link(data / "voices", variants.parent)
        name = f"invented{number}"
        (variants / name).write_text(_variant(rng, name))
        homes[name] = home
    return homes


def _link(source: Path, target: Path) -> None:
    """Link everything in a folder that the other one does not have."""
    for entry in source.iterdir():
        if not (target / entry.name).exists():
            (target / entry.name).symlink_to(entry)
