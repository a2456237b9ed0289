"""A file with locks, each under the requirements and the Python that it is for.

    # Python 3.11
    # requires scipy>=1.14
    scipy==1.16.0 \\
        --hash=sha256:...
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn.bundle.content import open_regular
from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.lock import InvalidLock, parse_lock, render_lock
from edgefn.bundle.store import sync_folder

_PYTHON: Final = "# Python "
_REQUIRES: Final = "# requires "


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """What a lock is for.

    Attributes:
        python: Version of Python, as in `3.11`.
        requirements: As PEP 508 writes them; sorted, each once.
    """

    python: str
    requirements: tuple[str, ...]


def read_locks(path: Path) -> dict[Wanted, str]:
    """Returns the locks of a file; none if there is no file, or nothing in it.

    Raises:
        BuildFailed: It is damaged, or something else.
    """
    try:
        with open_regular(path) as file:
            lines = file.read().decode().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"{path}: cannot be read: {error}") from error
    starts = [number for number, line in enumerate(lines) if line.startswith(_PYTHON)]
    if any(line.strip() for line in lines[: starts[0] if starts else None]):
        raise BuildFailed(
            f"{path} does not begin with {_PYTHON!r}, as what `edgefn build` writes does: rename "
            "the file if it is another one, else delete it"
        )
    try:
        sections = zip(starts, [*starts, len(lines)][1:], strict=False)
        return dict(_section(lines[start:end]) for start, end in sections)
    except InvalidLock as error:
        raise BuildFailed(
            f"{path}: {error.message}. Delete the file; `edgefn build` writes it anew"
        ) from error


def write_locks(path: Path, locks: Mapping[Wanted, str]) -> None:
    """Writes a file with these locks, all at once; the same ones always give the same bytes.

    Raises:
        BuildFailed: It cannot be written.
    """
    sections = []
    for wanted, lock in sorted(locks.items()):
        requirements = "".join(f"{_REQUIRES}{each}\n" for each in wanted.requirements)
        sections.append(f"{_PYTHON}{wanted.python}\n{requirements}{lock}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(sections))
            os.fchmod(descriptor, 0o644)
        os.rename(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BuildFailed(f"{path}: cannot be written: {error.strerror}") from error


def _section(lines: list[str]) -> tuple[Wanted, str]:
    python = lines[0].removeprefix(_PYTHON)
    found = (line.removeprefix(_REQUIRES) for line in lines if line.startswith(_REQUIRES))
    return Wanted(python, tuple(found)), render_lock(parse_lock("\n".join(lines)))
