"""Which files of a function's folder are sample calls, that a new revision must answer."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from edgefn_runtime.manifest import MAX_SAMPLES

FOLDER: Final = "samples"
SUFFIXES: Final = frozenset({".json", ".msgpack", ".wav", ".png", ".jpg", ".jpeg"})
MAX_SAMPLE_BYTES: Final = 1_000_000


def samples_of(files: Mapping[str, Path]) -> tuple[str, ...]:
    """Returns those files that are whole requests, by name, as many as a bundle may have.

    Args:
        files: Of a bundle: path in it to file.
    """
    found = [name for name, path in sorted(files.items()) if _is_sample(PurePosixPath(name), path)]
    return tuple(found[:MAX_SAMPLES])


def _is_sample(name: PurePosixPath, path: Path) -> bool:
    return (
        name.parent == PurePosixPath(FOLDER)
        and name.suffix in SUFFIXES
        and path.stat().st_size <= MAX_SAMPLE_BYTES
    )
