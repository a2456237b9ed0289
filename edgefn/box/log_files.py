"""The log files of functions: one JSON object a line, two generations of bounded size."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box.log_lines import KEPT_LINES, LogLine

FILE_BYTES: Final = 4 * 1024 * 1024

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LogLine)


class LogFiles:
    """Appends to `<name>.jsonl` and moves a full one to `<name>.1.jsonl`. Blocks on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, name: str, lines: Iterable[LogLine]) -> None:
        """Writes lines to a function's file.

        Raises:
            OSError: The disk is full or fails.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{name}.jsonl"
        data = b"".join(_encoder.encode(line) + b"\n" for line in lines)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size >= FILE_BYTES:
            path.rename(self._folder / f"{name}.1.jsonl")

    def newest(self, name: str) -> list[LogLine]:
        """Returns the newest lines that were written; what cannot be read is skipped."""
        lines: list[LogLine] = []
        for path in (self._folder / f"{name}.1.jsonl", self._folder / f"{name}.jsonl"):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            lines += _parse(data.splitlines()[-KEPT_LINES:])
        return lines[-KEPT_LINES:]

    def remove(self, name: str) -> None:
        """Removes a function's files."""
        for path in (self._folder / f"{name}.1.jsonl", self._folder / f"{name}.jsonl"):
            path.unlink(missing_ok=True)


def _parse(rows: Iterable[bytes]) -> list[LogLine]:
    lines = []
    for row in rows:
        try:
            lines.append(_decoder.decode(row))
        except msgspec.MsgspecError:  # cut by the end of a box in the middle of a write
            continue
    return lines
