"""Events to a file, one JSON object a line; delivered is what is on the disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgefn.box.outbox.courier import NotDelivered
from edgefn.box.outbox.event import Event

_TAIL_BYTES: Final = 64 * 1024


class EventFile:
    """Appends events to one file, opened anew for each batch: it may be moved away at any time.

    Args:
        path: Of the file; made if missing, with its folder.
        box: Name of this box.
    """

    def __init__(self, path: Path, box: str) -> None:
        self._path = path
        self._box = box

    def send(self, events: Sequence[Event]) -> None:
        """Appends events.

        Raises:
            NotDelivered: They could not be written.
        """
        lines = b"".join(event.line(self._box) + b"\n" for event in events)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self._path.exists()
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o640)
            try:
                _cut_half_line(descriptor)
                _write_all(descriptor, lines)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                _sync_folder(self._path.parent)
        except OSError as error:
            raise NotDelivered(f"{self._path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is held open."""


def _cut_half_line(descriptor: int) -> None:
    """Removes what a write that was cut short left; its events were not delivered."""
    size = os.fstat(descriptor).st_size
    while size and os.pread(descriptor, 1, size - 1) != b"\n":
        start = max(0, size - _TAIL_BYTES)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        size = start if found < 0 else start + found + 1
        os.ftruncate(descriptor, size)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
