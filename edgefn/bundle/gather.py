"""Which files of a folder belong to a bundle.

Everything but: hidden files and folders, `__pycache__` and `*.pyc`, virtual environments, bundles
(`*.edgefn`), and what `.edgefnignore` names. That file has one shell pattern a line; `#` begins a
comment. A pattern is held against the path from the folder and against each of its parts, so
`notes` leaves out every file or folder of that name, `*.csv` every CSV, and `data/raw/*` what is
below that one folder.
"""

import fnmatch
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgefn.bundle.content import open_regular
from edgefn.errors import EdgefnError
from edgefn_runtime.manifest import MAX_BUNDLE_BYTES, MAX_FILES

IGNORE_FILE: Final = ".edgefnignore"
_ENVIRONMENT_FILE: Final = "pyvenv.cfg"


class BuildFailed(EdgefnError):
    """A bundle could not be built. `detail` may have a `traceback` and a `log` (list of lines)."""

    code = "build_failed"


def gather(folder: Path, *, left_out: Sequence[str] = ()) -> dict[str, Path]:
    """Returns the files of a bundle: path from the folder to file, sorted.

    Args:
        folder: Of the function.
        left_out: Patterns of what does not belong to it either, as in `.edgefnignore`.

    Raises:
        BuildFailed: There are too many, or too large ones, or something that is not a file.
    """
    patterns = [*_ignored(folder), *left_out]
    found: dict[str, Path] = {}
    total_bytes = 0
    for path in _walk(folder, folder, patterns):
        relative = path.relative_to(folder).as_posix()
        found[relative] = path
        total_bytes += check_file(path, folder)
        if len(found) > MAX_FILES:
            raise BuildFailed(
                f"{folder} has more than {MAX_FILES} files; is it the function's own folder? Name "
                f"what does not belong to it in {IGNORE_FILE}"
            )
        if total_bytes > MAX_BUNDLE_BYTES:
            raise BuildFailed(
                f"{folder} has more than {MAX_BUNDLE_BYTES >> 20} MiB, {relative!r} included; name "
                f"what the function does not need in {IGNORE_FILE}"
            )
    return dict(sorted(found.items()))


def check_file(path: Path, folder: Path) -> int:
    """Returns the size of a file that may be in a bundle.

    Raises:
        BuildFailed: It is not a regular file, cannot be read, or is a link out of the folder.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError) as error:
        raise BuildFailed(f"{path}: cannot be read: {error}") from error
    if not target.is_relative_to(folder):
        raise BuildFailed(
            f"{path} is a link to {target}, outside the function's folder; copy the file into it"
        )
    if not stat.S_ISREG(status.st_mode):
        kind = "a link to a folder" if stat.S_ISDIR(status.st_mode) else "a socket, pipe or device"
        raise BuildFailed(f"{path} is {kind}; a bundle has regular files only")
    return status.st_size


def hash_file(path: Path, folder: Path) -> tuple[int, str]:
    """Returns the size and the SHA-256 of a file that may be in a bundle.

    Raises:
        BuildFailed: As `check_file`.
    """
    size = check_file(path, folder)
    if size > MAX_BUNDLE_BYTES:
        raise BuildFailed(f"{path} has {size} bytes; a bundle has at most {MAX_BUNDLE_BYTES}")
    try:
        with open_regular(path) as file:
            return size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BuildFailed(f"{path}: cannot be read: {error}") from error


def _walk(folder: Path, root: Path, patterns: list[str]) -> list[Path]:
    found = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = folder / entry.name
            if _is_left_out(path.relative_to(root), patterns):
                continue
            if not entry.is_dir(follow_symlinks=False):
                found.append(path)
            elif not (path / _ENVIRONMENT_FILE).exists():
                found += _walk(path, root, patterns)
            if len(found) > MAX_FILES:
                break  # the caller refuses it; do not walk a whole disk first
    return found


def _is_left_out(relative: Path, patterns: list[str]) -> bool:
    name = relative.name
    if name.startswith(".") or name == "__pycache__" or name.endswith((".pyc", ".edgefn")):
        return True
    whole = relative.as_posix()
    return any(fnmatch.fnmatchcase(whole, p) or fnmatch.fnmatchcase(name, p) for p in patterns)


def _ignored(folder: Path) -> list[str]:
    try:
        lines = (folder / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"{folder / IGNORE_FILE}: cannot be read: {error}") from error
    stripped = (line.strip() for line in lines)
    return [line.rstrip("/") for line in stripped if line and not line.startswith("#")]
