"""Power cuts of an SQLite database, through a VFS: what was written and not synced may be lost.

Writes reach a picture of the disk at each sync. When the power goes, at a random operation, every
512-byte sector that was not synced is by itself kept, dropped or filled with garbage; then a new
connection opens what is left. The files themselves lie in memory.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

SECTOR_BYTES = 512


class Disk:
    """What a disk holds, and what it was told but may forget."""

    def __init__(self) -> None:
        self.safe: dict[str, bytearray] = {}
        self.unsafe: dict[str, list[tuple[int, bytes | None]]] = {}
        self.operations = 0
        self.cut_at: int | None = None

    @property
    def dark(self) -> bool:
        """Whether the power is gone."""
        return self.cut_at is not None and self.operations >= self.cut_at

    def operate(self) -> None:
        """Counts an operation. Raises if there is no power for it."""
        if self.dark:
            raise apsw.IOError("no power")
        self.operations += 1

    def sync(self, name: str) -> None:
        """Makes sure of what was written to a file."""
        for offset, data in self.unsafe[name]:
            _apply(self.safe[name], offset, data)
        self.unsafe[name].clear()

    def after_the_cut(self, draw: random.Random, folder: Path) -> None:
        """Writes out what is found when the power comes back."""
        for name, safe in self.safe.items():
            image = bytearray(safe)
            for offset, data in self.unsafe[name]:
                if data is None:
                    if draw.random() < 0.5:
                        _apply(image, offset, None)
                    continue
                for start in range(0, len(data), SECTOR_BYTES):
                    sector, fate = data[start : start + SECTOR_BYTES], draw.random()
                    if fate < 0.5:
                        _apply(image, offset + start, sector)
                    elif fate < 0.6:
                        _apply(image, offset + start, draw.randbytes(len(sector)))
            (folder / Path(name).name).write_bytes(image)


class CutVfs(apsw.VFS):
    """Files on a disk whose power can go."""

    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__("power-cuts", "unix")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _CutFile(self.disk, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        self.disk.safe.pop(name, None)
        self.disk.unsafe.pop(name, None)


class _CutFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._name = name if isinstance(name, str) else name.filename()
        disk.safe.setdefault(self._name, bytearray())
        disk.unsafe.setdefault(self._name, [])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operate()
        super().xWrite(data, offset)
        self._disk.unsafe[self._name].append((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        self._disk.operate()
        super().xTruncate(size)
        self._disk.unsafe[self._name].append((size, None))

    def xSync(self, flags: int) -> None:
        self._disk.operate()
        super().xSync(flags)
        if not self._disk.dark:  # else the power went during the sync: nothing is promised
            self._disk.sync(self._name)


class Bench:
    """A folder in memory, and a file system whose power can go.

    Attributes:
        vfs: Has the disk, which a test replaces by an empty one for each cut.
        folder: For databases.
    """

    new_disk = Disk

    def __init__(self) -> None:
        self.vfs = CutVfs()
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))

    def connect(self, path: Path, synchronous: str) -> Any:
        """Opens a database on it, `FULL` replaced by what a test asks for."""
        connection = _Connection(str(path), vfs="power-cuts")
        connection.synchronous = synchronous
        # One process alone, so that no memory is shared; checkpoints often, so that cuts hit them.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA wal_autocheckpoint = 20")
        return connection


class _Connection(apsw.Connection):
    synchronous = "FULL"

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement == "PRAGMA synchronous = FULL":
            statement = f"PRAGMA synchronous = {self.synchronous}"
        return super().execute(statement, *parameters)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The file system, which SQLite knows until it is closed."""
    made = Bench()
    yield made
    made.vfs.unregister()
    shutil.rmtree(made.folder)


def _apply(image: bytearray, offset: int, data: bytes | None) -> None:
    size = offset if data is None else offset + len(data)
    if len(image) < size:
        image.extend(bytes(size - len(image)))
    if data is None:
        del image[size:]
    else:
        image[offset:size] = data
