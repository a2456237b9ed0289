"""One build of a folder at a time: two would write one set of variants and announce another."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgefn.bundle.gather import BuildFailed


@contextmanager
def only_build_of(folder: Path) -> Iterator[None]:
    """Keeps other builds of a function's folder out meanwhile. It ends with the process.

    Raises:
        BuildFailed: Another one is under way.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # on a file system without locks nobody is kept out
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BuildFailed(
                    f"another `edgefn build` works in {folder}; wait until it has ended"
                ) from None
        yield
    finally:
        os.close(descriptor)
