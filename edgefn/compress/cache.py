"""Results of long work, kept between builds: an interrupted build goes on where it was.

An entry is a file named by its key: the SHA-256 of the content, then the content. It appears by a
rename, so a process killed at any point leaves whole entries and, at worst, a file with another
name that is swept later. An entry that does not have its digest is as good as none.
"""

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgefn.config import cache_folder

LIMIT_BYTES: Final = 2 << 30
_DIGEST_BYTES: Final = 32
_PARTIAL: Final = ".partial"
_PARTIAL_AGE_S: Final = 3600.0  # no write takes so long: whoever made it is dead


class Cache:
    """A folder of entries, the least recently used of which make room for new ones.

    Several processes may use it at once. Not being able to write is not an error: then the work is
    done again the next time.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Takes a folder, which need not exist yet."""
        self._folder = folder
        self._limit_bytes = limit_bytes

    def get(self, key: str) -> bytes | None:
        """Returns an entry, or None if there is none that is whole."""
        path = self._folder / key
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now: the last to go
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keeps an entry, if it fits."""
        if len(content) + _DIGEST_BYTES > self._limit_bytes:
            return
        partial = self._folder / f"{key}-{secrets.token_hex(4)}{_PARTIAL}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(hashlib.sha256(content).digest() + content)
            partial.replace(self._folder / key)
            self._make_room()
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()

    def _make_room(self) -> None:
        entries = []
        now_s = time.time()
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process made room, too
                status = path.stat()
                if not path.name.endswith(_PARTIAL):
                    entries.append((status.st_mtime_ns, status.st_size, path))
                elif now_s - status.st_mtime > _PARTIAL_AGE_S:
                    path.unlink()
        total_bytes = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total_bytes <= self._limit_bytes:
                return
            path.unlink(missing_ok=True)
            total_bytes -= size


def key_of(*parts: str | bytes) -> str:
    """Returns a key that differs whenever any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def default_folder(environ: Mapping[str, str]) -> Path:
    """Returns where the entries of this user are."""
    return cache_folder(environ) / "variants"
