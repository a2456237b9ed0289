"""The files of revisions, written out from the blob store and verified. Everything here blocks."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from edgefn.bundle.store import BlobMissing, BlobStore, sync_folder
from edgefn_runtime.manifest import Manifest

_PARTIAL = ".partial-"


class Bundles:
    """Folders of verified files, one for each manifest that serves."""

    def __init__(self, folder: Path, store: BlobStore) -> None:
        self._folder = folder
        self._store = store

    def root(self, digest: str) -> Path:
        """Returns where the files of a manifest are, or would be."""
        return self._folder / digest

    def write_out(self, manifest: Manifest, digest: str) -> Path:
        """Makes sure that the files of a manifest are there and whole, and returns their folder.

        Raises:
            BlobMissing: A file is not in the store.
            DigestMismatch: A stored file is damaged.
            OSError: The disk is full or fails.
        """
        root = self.root(digest)
        if root.is_dir():
            if _is_whole(manifest, root):
                return root
            # Aside, for replicas may run in it; it is removed with what else nobody needs.
            root.rename(self._partial(digest))
        if missing := self._store.missing(file.sha256 for file in manifest.files):
            raise BlobMissing(
                f"the store lacks {len(missing)} of the {len(manifest.files)} files of "
                f"{manifest.spec.name}: upload them, then deploy again",
                missing=missing,
            )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        partial = self._partial(digest)
        self._store.materialise(manifest, partial)
        partial.rename(root)
        sync_folder(self._folder)
        return root

    def _partial(self, digest: str) -> Path:
        return self._folder / f"{digest}{_PARTIAL}{secrets.token_hex(4)}"

    def keep(self, roots: Iterable[str], blobs: set[str]) -> None:
        """Removes all folders but those of these digests, and all blobs but these."""
        kept = set(roots)
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True)
        self._store.keep(blobs)


def _is_whole(manifest: Manifest, root: Path) -> bool:
    """Whether a folder has just the files of a manifest, each with its content."""
    found = {
        str((Path(folder) / name).relative_to(root))
        for folder, _, names in os.walk(root)
        for name in names
    }
    if found != {file.path for file in manifest.files}:
        return False
    return all(_has(root / file.path, file.sha256) for file in manifest.files)


def _has(path: Path, sha256: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
