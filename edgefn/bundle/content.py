"""The bytes of one file of a bundle, wherever they lie on this machine."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file, or a part of one.

    Attributes:
        path: Of the file.
        size: Number of bytes.
        offset: Of the first of them in the file.
    """

    path: Path
    size: int
    offset: int = 0

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yields the bytes from `start` to before `end`, in pieces; fewer if the file is cut.

        Args:
            start: Index of the first byte.
            end: Index after the last one; None: all that are left.
        """
        left = (self.size if end is None else end) - start
        with self.path.open("rb") as file:
            file.seek(self.offset + start)
            while left > 0 and (piece := file.read(min(left, PIECE_BYTES))):
                left -= len(piece)
                yield piece

    def read_bytes(self) -> bytes:
        """Returns all of it."""
        return b"".join(self.pieces())


def open_regular(path: Path, flags: int = 0) -> BufferedReader:
    """Opens a file for reading, and nothing but a file: a pipe could wait for ever.

    Args:
        path: Of the file.
        flags: Of `os.open`, beside those for reading.

    Raises:
        OSError: There is none, it cannot be read, or it is something else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
