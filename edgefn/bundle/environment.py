"""What a function's requirements come to: resolved to exact versions once, then remembered.

    <folder>/requirements.lock      written by `edgefn build`, and meant to be committed
    <cache>/locks/<key>.lock        what was resolved on this machine
    <cache>/wheels/<digest>/        wheels that a bundle brings along

Resolving asks the package index and takes seconds; a redeployment must not. So the first of these
that has the same requirements for the same Python decides, and only without one is the index asked.

A lock is complete: it repeats what edgefn itself needs where the requirements need it, too. What is
tested together is installed together, whatever a box has; what a lock lacks comes from the box.
"""

import hashlib
import os
import platform
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement

from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.installer import PYTHON, IndexUnreachable, InstallerFailed
from edgefn.bundle.lock import InvalidLock
from edgefn.bundle.lock_file import Wanted, read_locks, write_locks
from edgefn.bundle.resolve import download, own_bounds, resolve
from edgefn.config import cache_folder
from edgefn_runtime.manifest import Environment

LOCK_FILE: Final = "requirements.lock"
WHEELS: Final = "wheels"


def environment_of(requirements: tuple[str, ...], folder: Path) -> Environment | None:
    """Returns what requirements come to: from the folder's lock, the cache, or the index.

    Args:
        requirements: As PEP 508 writes them, as declared.
        folder: Of the function.

    Returns:
        None without requirements.

    Raises:
        BuildFailed: They cannot be resolved, or the folder's lock is damaged.
    """
    if not requirements:
        return None
    wanted = _wanted(requirements)
    lock = read_locks(folder / LOCK_FILE).get(wanted)
    if lock is None:
        lock = _cached(wanted)
    return Environment(lock=lock, python=wanted.python)


def write_lock_file(folder: Path, declared: Iterable[tuple[str, ...]]) -> None:
    """Writes a folder's lock: what `environment_of` finds for each of its functions.

    Args:
        folder: Of the functions.
        declared: The requirements of each; if none has any, a lock that was written is removed.

    Raises:
        BuildFailed: As `environment_of` does.
    """
    locks = {
        _wanted(requirements): environment.lock
        for requirements in declared
        if (environment := environment_of(requirements, folder))
    }
    if locks:
        write_locks(folder / LOCK_FILE, locks)
        return
    # Another tool's file of that name is not ours to remove; and one too many does no harm.
    with suppress(BuildFailed, OSError):
        if read_locks(folder / LOCK_FILE):
            (folder / LOCK_FILE).unlink()


def vendored(environment: Environment) -> tuple[Environment, dict[str, Path]]:
    """Adds the wheels of an environment that this machine needs, for boxes without a network.

    Returns:
        The environment that names them, and where each lies on this machine, by its path in the
        bundle.

    Raises:
        BuildFailed: One is not to be had.
    """
    folder = cache_folder(os.environ) / WHEELS / environment.digest()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as scratch:
            incoming = Path(scratch, WHEELS)
            incoming.mkdir()
            try:
                download(environment.lock, incoming)
            except InstallerFailed as error:
                raise _failed("the wheels of the lock", error) from error
            with suppress(OSError):  # another process was faster, with the same wheels
                incoming.rename(folder)
    files = {f"{WHEELS}/{path.name}": path for path in sorted(folder.iterdir())}
    return msgspec.structs.replace(environment, wheels=tuple(files)), files


def _cached(wanted: Wanted) -> str:
    # With pip, a lock is for one kind of machine; and homes may be shared by several.
    parts = (platform.platform(), wanted.python, *own_bounds(), "", *wanted.requirements)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    path = cache_folder(os.environ) / "locks" / f"{key}.lock"
    with suppress(BuildFailed):  # a damaged one is made anew
        if lock := read_locks(path).get(wanted):
            return lock
    try:
        lock = resolve(wanted.requirements)
    except InstallerFailed as error:
        raise _failed(f"the requirements {', '.join(wanted.requirements)}", error) from error
    except InvalidLock as error:
        names = ", ".join(wanted.requirements)
        raise BuildFailed(f"the requirements {names}: {error.message}") from error
    write_locks(path, {wanted: lock})
    return lock


def _wanted(requirements: tuple[str, ...]) -> Wanted:
    return Wanted(PYTHON, tuple(sorted({str(Requirement(text)) for text in requirements})))


def _failed(subject: str, error: InstallerFailed) -> BuildFailed:
    hint = ""
    if isinstance(error, IndexUnreachable):
        hint = (
            ". Is there a network? pip and uv read the index from their own configuration; where "
            f"a {LOCK_FILE} is committed, none is needed"
        )
    return BuildFailed(f"{subject}: {error.message}{hint}", **error.detail)
