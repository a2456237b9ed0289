"""Make the corpus: words spoken by espeak-ng in many voices, trimmed, at 16 kHz, cached on disk.

    python functions/voice/synthesize.py [--cache FOLDER]

The same arguments give the same corpus for the same version of espeak-ng.
"""

import argparse
import functools
import io
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from features import KEYWORDS, LABELS, RATE_HZ
from rich.progress import track
from scipy.signal import resample_poly
from speakers import invent
from voices import ACCENTS, CASTS, SPLITS, Cast, Split, nonsense, other_words

DEFAULT_CACHE = Path(tempfile.gettempdir()) / "edgefn-voice"
CORPUS_VERSION = 4
_SEEDS: dict[Split, int] = {"train": 11, "validation": 12, "test": 13}
_RATIO = Fraction(RATE_HZ, 22_050)  # espeak-ng speaks at 22 050 Hz
_NONSENSE_SHARE = 1 / 3
_INVENTED = 1_000  # variants; no split uses more
_LONGEST = int(0.95 * RATE_HZ)
_EDGE = 160  # trimming looks at blocks of 10 ms
_AUDIBLE = 0.01  # of the loudest block's amplitude: some voices hiss an f this softly


class SynthesizerMissing(RuntimeError):
    """espeak-ng, which speaks the corpus, is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing to say, and how."""

    word: str
    accent: str
    variant: str
    speed: int
    pitch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Spoken words without silence around them, as 16-bit samples at 16 kHz."""

    clips: list[np.ndarray]
    labels: np.ndarray  # index into LABELS
    words: np.ndarray
    voices: np.ndarray  # "accent+variant"

    @property
    def other_words(self) -> list[np.ndarray]:
        """The clips without a keyword, of which babble is made."""
        unknown = self.labels == LABELS.index("unknown")
        return [clip for clip, other in zip(self.clips, unknown, strict=True) if other]


def espeak() -> str:
    """The path of espeak-ng; raises SynthesizerMissing with the remedy."""
    if path := shutil.which("espeak-ng"):
        return path
    raise SynthesizerMissing(
        "espeak-ng, which speaks the training words, is not installed; "
        "try `apt install espeak-ng`, `dnf install espeak-ng` or `brew install espeak-ng`"
    )


def _espeak_says() -> list[str]:
    """Version and folder of data, out of `eSpeak NG text-to-speech: 1.51  Data at: ...`."""
    command = [espeak(), "--version"]
    reply = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [part.strip() for part in reply.split(":", 1)[1].split("Data at:")]


def espeak_version() -> str:
    """The version of espeak-ng."""
    return _espeak_says()[0]


def espeak_data() -> Path:
    """The folder of espeak-ng's voices and phonemes."""
    return Path(_espeak_says()[1])


@functools.cache
def _sounds(text: str, accent: str) -> str:
    """The phonemes of a word, to keep homophones of the keywords out of `unknown`."""
    command = [espeak(), "-q", "-x", "-v", accent, text]
    reply = subprocess.run(command, capture_output=True, text=True, check=True)
    return reply.stdout.strip().replace("'", "")


def _unknown(rng: np.random.Generator, split: Split, accent: str) -> str:
    """A word or nonsense that does not sound exactly like a keyword in this accent."""
    taken = {_sounds(word, accent) for word in KEYWORDS}
    while True:
        if rng.random() < _NONSENSE_SHARE:
            text = nonsense(rng, split)
        else:
            text = str(rng.choice(other_words(split)))
        if _sounds(text, accent) not in taken:
            return text


def _utterance(
    rng: np.random.Generator, split: Split, word: str, voice: tuple[str, str]
) -> Utterance:
    """Draw how this voice says this word."""
    cast = CASTS[split]
    return Utterance(
        word=word,
        accent=voice[0],
        variant=voice[1],
        speed=int(rng.integers(*cast.speeds)),
        pitch=int(rng.integers(*cast.pitches)),
    )


def _voices(cast: Cast, invented: Iterator[str]) -> list[tuple[str, str]]:
    """Accent and variant of everyone in a cast."""
    voices = [(accent, variant) for accent in ACCENTS for variant in cast.variants]
    for accent in ACCENTS:
        voices += [(accent, next(invented)) for _ in range(cast.invented)]
    return voices


def script(split: Split, invented: Iterator[str]) -> list[Utterance]:
    """Everything that is said in one split."""
    cast, rng = CASTS[split], np.random.default_rng(_SEEDS[split])
    lines = []
    for voice in _voices(cast, invented):
        words = [*KEYWORDS] * cast.takes
        words += [_unknown(rng, split, voice[0]) for _ in range(cast.unknown_takes)]
        lines += [_utterance(rng, split, word, voice) for word in words]
    return lines


def _trim(samples: np.ndarray) -> np.ndarray:
    """Cut the silence before and after the word."""
    blocks = samples[: len(samples) // _EDGE * _EDGE].reshape(-1, _EDGE)
    loudness = np.sqrt(np.mean(np.square(blocks), axis=1))
    audible = np.flatnonzero(loudness > _AUDIBLE * loudness.max())
    return samples[audible[0] * _EDGE : (audible[-1] + 2) * _EDGE][:_LONGEST]


def say(line: Utterance, home: Path) -> np.ndarray:
    """Speak one line: 16-bit samples at 16 kHz, the loudest at half of full scale."""
    with wave.open(io.BytesIO(_speak(line, home))) as audio:
        spoken = np.frombuffer(audio.readframes(audio.getnframes()), "<i2").astype(np.float32)
    word = _trim(resample_poly(spoken, _RATIO.numerator, _RATIO.denominator))
    return np.round(word * (16_384 / np.abs(word).max())).astype(np.int16)


def _speak(line: Utterance, home: Path) -> bytes:
    """What espeak-ng says, as a WAV file; `home` is the folder that its data are in."""
    voice = f"{line.accent}+{line.variant}"
    manner = ["-v", voice, "-s", str(line.speed), "-p", str(line.pitch), "-a", "50"]
    command = [espeak(), f"--path={home}", *manner, "--stdout", line.word]
    return subprocess.run(command, capture_output=True, check=True).stdout


def _check_variants(cast: Cast, home: Path) -> None:
    """Refuse accents under whose name espeak-ng silently gives all variants the same voice."""
    for accent in ACCENTS:
        lines = [
            Utterance(word="no", accent=accent, variant=variant, speed=160, pitch=50)
            for variant in cast.variants
        ]
        if len({_speak(line, home) for line in lines}) == 1:
            raise ValueError(f"espeak-ng ignores the variants of {accent!r}; name another accent")


def _record(split: Split) -> Corpus:
    """Speak the whole script of a split."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        data = espeak_data()
        _check_variants(CASTS[split], data.parent)
        invented = invent(_INVENTED, data, Path(folder))
        lines = script(split, iter(invented))
        homes = [invented.get(line.variant, data.parent) for line in lines]
        spoken = pool.map(say, lines, homes)
        clips = list(track(spoken, f"speaking {split}", total=len(lines)))
    return Corpus(
        clips=clips,
        labels=np.array(
            [LABELS.index(line.word if line.word in KEYWORDS else "unknown") for line in lines]
        ),
        words=np.array([line.word for line in lines]),
        voices=np.array([f"{line.accent}+{line.variant}" for line in lines]),
    )


def _save(corpus: Corpus, path: Path) -> None:
    """Write the corpus beside its final name first, so that a cut never leaves half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    np.savez(
        partial,
        samples=np.concatenate(corpus.clips),
        ends=np.cumsum([len(clip) for clip in corpus.clips]),
        labels=corpus.labels,
        words=corpus.words,
        voices=corpus.voices,
    )
    partial.replace(path)


def load(split: Split, cache: Path = DEFAULT_CACHE) -> Corpus:
    """The corpus of a split, from the cache or else spoken now."""
    path = cache / f"{split}-v{CORPUS_VERSION}.npz"
    if not path.exists():
        _save(_record(split), path)
    with np.load(path, allow_pickle=False) as stored:
        clips = np.split(stored["samples"], stored["ends"][:-1])
        return Corpus(
            clips=clips,
            labels=stored["labels"],
            words=stored["words"],
            voices=stored["voices"],
        )


def main() -> int:
    """Speak every split that the cache does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="where the corpus is kept"
    )
    cache = parser.parse_args().cache
    try:
        for split in SPLITS:
            corpus = load(split, cache)
            seconds = sum(len(clip) for clip in corpus.clips) / RATE_HZ
            voices = len(set(corpus.voices))
            print(f"{split}: {len(corpus.clips)} clips, {voices} voices, {seconds:.0f} s")
    except SynthesizerMissing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
