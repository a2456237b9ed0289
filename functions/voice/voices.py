"""Who speaks and what is said: the voices and words of each split.

A voice is an espeak-ng accent with an espeak-ng variant, which stands for a speaker. The accents
are the same everywhere; speakers and other words are never shared between splits. Many variants are
near copies of others, so they were grouped before the split (mean difference of their log-mel
spectra, single linkage) and the groups dealt at random; whispers were dealt one to training and one
to test. No test variant is closer than 0.6 to a training variant (the median pair is 1.4). British
English goes by the name of `en`: espeak-ng 1.51 ignores the variant in `en-gb+variant`.
"""

import functools
import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The voices of one split and how much each of them says."""

    variants: tuple[str, ...]
    invented: int = 0  # speakers that espeak-ng does not have, for each accent
    takes: int  # of each keyword by each voice
    unknown_takes: int  # other words and nonsense by each voice
    speeds: tuple[int, int]  # words a minute
    pitches: tuple[int, int]  # espeak-ng's 0 to 99


ACCENTS = (
    "en", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us",
    "en-us-nyc",
)  # fmt: skip

CASTS: dict[Split, Cast] = {
    "train": Cast(
        invented=60,
        variants=(
            "Alex",
            "Alicia",
            "Andrea",
            "Annie",
            "Denis",
            "Diogo",
            "Gene",
            "Gene2",
            "Henrique",
            "Hugo",
            "Jacky",
            "Lee",
            "Mario",
            "Michael",
            "Mike",
            "Nguyen",
            "RicishayMax",
            "Storm",
            "Tweaky",
            "UniRobot",
            "adam",
            "anika",
            "anikaRobot",
            "antonio",
            "aunty",
            "belinda",
            "benjamin",
            "boris",
            "croak",
            "ed",
            "edward",
            "edward2",
            "f1",
            "f2",
            "f4",
            "f5",
            "grandma",
            "grandpa",
            "gustave",
            "iven",
            "iven2",
            "iven3",
            "iven4",
            "john",
            "klatt2",
            "klatt3",
            "klatt4",
            "klatt6",
            "linda",
            "m3",
            "m4",
            "m5",
            "m6",
            "m7",
            "max",
            "michel",
            "miguel",
            "norbert",
            "pablo",
            "paul",
            "rob",
            "robert",
            "robosoft",
            "robosoft2",
            "robosoft3",
            "robosoft6",
            "travis",
            "victor",
            "whisper",
        ),
        takes=1,
        unknown_takes=4,
        speeds=(115, 225),
        pitches=(25, 80),
    ),
    "validation": Cast(
        variants=(
            "Marco",
            "RicishayMax3",
            "announcer",
            "david",
            "m2",
            "m8",
            "marcelo",
            "quincy",
        ),
        takes=1,
        unknown_takes=1,
        speeds=(130, 210),
        pitches=(35, 65),
    ),
    "test": Cast(
        variants=(
            "Andy",
            "AnxiousAndy",
            "RicishayMax2",
            "f3",
            "kaukovalta",
            "m1",
            "pedro",
            "robosoft4",
            "robosoft8",
            "sandro",
            "shelby",
            "steph",
            "whisperf",
            "zac",
        ),
        takes=1,
        unknown_takes=1,
        speeds=(130, 210),
        pitches=(35, 65),
    ),
}

_ONSETS = [*"bdfghjklmnprstvwyz", "bl", "br", "ch", "dr", "fl", "fr", "gr", "kl", "pl", "sh", "sk"]
_VOWELS = [*"aeiou", "ar", "ee", "ie", "oa", "oo", "or", "ow", "ur"]
_CODAS = ["", *"bdgklmnpstvx", "ck", "ft", "lt", "mp", "nd", "rk", "rn", "sh", "sk", "st", "th"]


@functools.cache
def other_words(split: Split) -> list[str]:
    """The words, none of them a keyword, that only this split hears as `unknown`."""
    _, _, after = Path(__file__).with_name("words.txt").read_text().partition(f"{split}:\n")
    return list(itertools.takewhile(lambda word: not word.endswith(":"), after.split()))


def nonsense(rng: np.random.Generator, split: Split) -> str:
    """Two or three random syllables, which no other split hears.

    One alone is often a keyword in another accent.
    """
    while True:
        text = "".join(
            str(rng.choice(part))
            for _ in range(rng.integers(2, 4))
            for part in (_ONSETS, _VOWELS, _CODAS)
        )
        if SPLITS[zlib.crc32(text.encode()) % len(SPLITS)] == split:
            return text
