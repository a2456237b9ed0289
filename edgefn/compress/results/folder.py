"""Writes the folder of variants: old or new, never a mixture."""

import ctypes
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.record import FOLDER, RECORD_FILE

_PREFIX: Final = f".{FOLDER}-"  # hidden: never part of a bundle
_LEFT_BEHIND_S: Final = 3600.0  # no build writes for so long: whoever made it was killed
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def check_folder(folder: Path) -> None:
    """Refuses a function's folder whose `variants/` is not ours to replace.

    Raises:
        BuildFailed: There are files in it, but no record.
    """
    variants = folder / FOLDER
    try:
        foreign = variants.is_symlink() or (
            not (variants / RECORD_FILE).is_file() and any(variants.iterdir())
        )
    except FileNotFoundError:
        return
    except NotADirectoryError:
        foreign = True
    if foreign:
        raise BuildFailed(
            f"{variants} was not made by `edgefn build`, which would replace it; rename it"
        )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replaces `variants/` of a function's folder as a whole.

    Args:
        folder: Of the function.
        files: Content by name, the record among them.

    Raises:
        BuildFailed: It cannot be written, or is not ours to replace.
    """
    check_folder(folder)
    new = folder / f"{_PREFIX}{secrets.token_hex(4)}"
    try:
        _sweep(folder)
        new.mkdir()
        for name, content in files.items():
            _write(new / name, content)
        _swap(new, folder / FOLDER)
    except OSError as error:
        raise BuildFailed(f"{folder / FOLDER} cannot be written: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(new: Path, current: Path) -> None:
    """Gives `new` the name of `current`, in one step where the file system can."""
    if not current.exists():
        new.rename(current)
        return
    if _exchange(new, current):
        return
    aside = new.with_name(f"{new.name}-old")
    current.rename(aside)
    new.rename(current)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return bool(rename(*paths, _RENAME_EXCHANGE) == 0)


def _sweep(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
            shutil.rmtree(path, ignore_errors=True)
