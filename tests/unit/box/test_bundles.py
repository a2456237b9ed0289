"""Folders of verified files."""

import hashlib
import os
from pathlib import Path

import pytest

from edgefn.box.bundles import Bundles
from edgefn.bundle.store import BlobMissing, BlobStore
from edgefn_runtime.manifest import BundleFile, FunctionSchema, FunctionSpec, Manifest
from edgefn_runtime.variant import as_given

FILES = {"function.py": b"code", "data/model.onnx": b"model"}
DIGEST = "d" * 64


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def bundles(tmp_path: Path, store: BlobStore) -> Bundles:
    return Bundles(tmp_path / "revisions", store)


def upload(store: BlobStore) -> Manifest:
    listed = []
    for path, data in sorted(FILES.items()):
        sha256 = hashlib.sha256(data).hexdigest()
        writer = store.open_writer(sha256)
        writer.write(data)
        writer.commit()
        listed.append(BundleFile(path, len(data), sha256))
    return Manifest(
        module="function.py",
        attribute="f",
        spec=FunctionSpec(name="f"),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given({}),),
        files=tuple(listed),
    )


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_files_are_written_out_once(store: BlobStore, bundles: Bundles) -> None:
    """A folder that is whole is taken as it is, blobs or not."""
    manifest = upload(store)
    root = bundles.write_out(manifest, DIGEST)
    assert contents(root) == FILES
    before = (root / "function.py").stat().st_ino
    store.keep(set(), grace_s=-1.0)
    assert bundles.write_out(manifest, DIGEST) == root
    assert (root / "function.py").stat().st_ino == before


def damage(root: Path) -> None:
    (root / "function.py").unlink()
    (root / "function.py").write_bytes(b"c0de")


def lose(root: Path) -> None:
    (root / "data/model.onnx").unlink()


def add(root: Path) -> None:
    (root / "data/extra.py").write_text("")


def link(root: Path) -> None:
    os.rename(root / "function.py", root.parent / "elsewhere.py")
    (root / "function.py").symlink_to(root.parent / "elsewhere.py")


@pytest.mark.parametrize("harm", [damage, lose, add, link])
def test_a_folder_that_is_not_whole_is_made_again(
    store: BlobStore, bundles: Bundles, harm: object
) -> None:
    """Whatever happened to it."""
    manifest = upload(store)
    harm(bundles.write_out(manifest, DIGEST))  # type: ignore[operator]
    assert contents(bundles.write_out(manifest, DIGEST)) == FILES


def test_what_was_not_uploaded_is_named(store: BlobStore, bundles: Bundles) -> None:
    """All of it at once, and no folder is left."""
    manifest = upload(store)
    store.keep(set(), grace_s=-1.0)
    with pytest.raises(BlobMissing, match="lacks 2 of the 2 files of f") as caught:
        bundles.write_out(manifest, DIGEST)
    assert caught.value.detail["missing"] == [file.sha256 for file in manifest.files]
    assert not bundles.root(DIGEST).exists()


def test_only_what_is_needed_is_kept(store: BlobStore, bundles: Bundles, tmp_path: Path) -> None:
    """Folders of others go, and so does what a crash left in the middle."""
    manifest = upload(store)
    bundles.write_out(manifest, DIGEST)
    bundles.write_out(manifest, "e" * 64)
    (tmp_path / "revisions" / f"{DIGEST}.partial-0").mkdir()
    bundles.keep([DIGEST], {file.sha256 for file in manifest.files})
    assert [path.name for path in (tmp_path / "revisions").iterdir()] == [DIGEST]
    assert contents(bundles.root(DIGEST)) == FILES
