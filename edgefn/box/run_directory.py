"""The folder of sockets and status pages, which lives as long as its box.

It is not in the state directory because the path of a Unix socket has at most 107 bytes. Its path
is noted there, so that the next box removes what a box that was killed left behind.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from edgefn.errors import ConfigError

PREFIX: Final = "edgefn-"
SOCKET_PATH_BYTES: Final = 107
_LONGEST_NAME: Final = "/r1000000000.sock"


class RunDirectory:
    """A folder for this user alone."""

    def __init__(self, path: Path, note: Path) -> None:
        self.path = path
        self._note = note

    @classmethod
    def create(cls, state_dir: Path, environ: Mapping[str, str]) -> Self:
        """Removes the folder of a dead box, and makes a new one.

        Call it only while holding the lock of the state directory.

        Raises:
            ConfigError: There is no place whose path is short enough, or none that can be written.
        """
        note = state_dir / "run"
        _remove_stale(note)
        for parent in dict.fromkeys(
            (environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp")
        ):
            if not parent.startswith("/") or not os.access(parent, os.W_OK | os.X_OK):
                continue
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            if len(os.fsencode(f"{path}{_LONGEST_NAME}")) <= SOCKET_PATH_BYTES:
                note.write_text(str(path))
                return cls(path, note)
            path.rmdir()
        raise ConfigError(
            "no place for sockets: neither XDG_RUNTIME_DIR nor TMPDIR nor /tmp is a folder that "
            "can be written and whose path is short; set TMPDIR to one"
        )

    def remove(self) -> None:
        """Removes the folder and the note of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._note.unlink(missing_ok=True)


def _remove_stale(note: Path) -> None:
    try:
        path = Path(note.read_text())
        status = path.lstat()
    except (OSError, ValueError):
        return
    # The note is a mere file: whatever it names, only what a box could have made is removed.
    ours = path.is_absolute() and path.name.startswith(PREFIX) and stat.S_ISDIR(status.st_mode)
    if ours and status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) == 0o700:
        shutil.rmtree(path, ignore_errors=True)
