"""The blob store on a real file system."""

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.bundle.store import BlobMissing, BlobStore, DigestMismatch
from edgefn_runtime.manifest import (
    BundleFile,
    FunctionSchema,
    FunctionSpec,
    InvalidManifest,
    Manifest,
)
from edgefn_runtime.variant import as_given


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: BlobStore, data: bytes) -> str:
    writer = store.open_writer(sha256(data))
    writer.write(data)
    writer.commit()
    return sha256(data)


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        module="function.py",
        attribute="f",
        spec=FunctionSpec(name="f"),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given({}),),
        files=tuple(BundleFile(p, len(d), sha256(d)) for p, d in sorted(files.items())),
    )


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_a_committed_blob_is_under_its_digest_and_no_longer_missing(store: BlobStore) -> None:
    """What was written comes back byte for byte, and `missing` names only the rest, once each."""
    other = sha256(b"other")
    digest = put(store, b"content")
    assert store.path(digest).read_bytes() == b"content"
    assert store.missing([other, digest, other]) == [other]


@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.binary(max_size=64), max_size=5))
def test_a_blob_is_the_sum_of_its_writes(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    """However the bytes are cut into writes, the blob is their concatenation."""
    store = BlobStore(tmp_path_factory.mktemp("store"))
    digest = sha256(b"".join(chunks))
    writer = store.open_writer(digest)
    for chunk in chunks:
        writer.write(chunk)
    writer.commit()
    assert store.path(digest).read_bytes() == b"".join(chunks)


def test_bytes_with_another_digest_are_refused_and_leave_nothing(
    store: BlobStore, tmp_path: Path
) -> None:
    """A wrong upload raises and neither a blob nor a temporary file stays."""
    writer = store.open_writer(sha256(b"right"))
    writer.write(b"wrong")
    with pytest.raises(DigestMismatch, match=sha256(b"wrong")):
        writer.commit()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_aborted_writer_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """Abort removes the temporary file."""
    writer = store.open_writer(sha256(b"x"))
    writer.write(b"x")
    writer.abort()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_blob_may_be_written_twice_at_once(store: BlobStore) -> None:
    """Two writers of the same content do not disturb each other."""
    first, second = store.open_writer(sha256(b"x")), store.open_writer(sha256(b"x"))
    first.write(b"x")
    second.write(b"x")
    first.commit()
    second.commit()
    assert store.missing([sha256(b"x")]) == []


def test_the_temporary_file_of_a_dead_writer_is_removed_and_a_living_ones_is_not(
    store: BlobStore, tmp_path: Path
) -> None:
    """A writer that was killed leaves a file, which the next writer clears away."""
    root = tmp_path / "blobs"
    program = (
        "import os, pathlib, sys; from edgefn.bundle.store import BlobStore\n"
        "BlobStore(pathlib.Path(sys.argv[1])).open_writer('a' * 64).write(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    assert len(list((root / "incoming").iterdir())) == 1
    living = store.open_writer("b" * 64)
    store.keep(set())
    assert [path.name[:64] for path in (root / "incoming").iterdir()] == ["b" * 64]
    living.abort()


@pytest.mark.parametrize("digest", ["", "..", "A" * 64, "a" * 63, "a" * 65, "../" + "a" * 61])
def test_only_a_digest_names_a_blob(store: BlobStore, digest: str) -> None:
    """Nothing but 64 lower-case hex digits becomes a path."""
    for use in (store.path, store.open_writer, lambda d: store.missing([d])):
        with pytest.raises(InvalidManifest, match="not a SHA-256"):
            use(digest)


def test_materialise_writes_the_listed_files_read_only_in_a_private_folder(
    store: BlobStore, tmp_path: Path
) -> None:
    """Files and folders are as the manifest says, modes 0400 and 0700."""
    files = {"function.py": b"code", "models/deep/m.onnx": b"model", "empty.txt": b""}
    for data in (*files.values(), b"not listed"):
        put(store, data)
    into = tmp_path / "out"
    store.materialise(manifest_of(files), into)
    written = {
        str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()
    }
    assert written == files
    modes = {stat.S_IMODE(path.stat().st_mode) for path in into.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (into, into / "models")}
    assert (modes, folders) == ({0o400}, {0o700})


def test_materialise_without_a_blob_names_the_file_and_leaves_no_folder(
    store: BlobStore, tmp_path: Path
) -> None:
    """A missing blob raises, and the half-written folder is gone."""
    put(store, b"code")
    manifest = manifest_of({"a.py": b"code", "function.py": b"absent"})
    with pytest.raises(BlobMissing, match=r"'function\.py'"):
        store.materialise(manifest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_blob_is_refused_and_asked_for_again(store: BlobStore, tmp_path: Path) -> None:
    """A flipped bit on disk is found while copying, and the blob counts as missing from then on."""
    digest = put(store, b"content")
    path = store.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"cOntent")
    with pytest.raises(DigestMismatch, match="deploy again"):
        store.materialise(manifest_of({"function.py": b"content"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert store.missing([digest]) == [digest]


def test_a_size_that_does_not_fit_is_refused(store: BlobStore, tmp_path: Path) -> None:
    """The manifest's size is checked too, and a sound blob is not thrown away for its sake."""
    digest = put(store, b"content")
    manifest = manifest_of({"function.py": b"content"})
    lying = Manifest(
        module=manifest.module,
        attribute="f",
        spec=manifest.spec,
        schema=manifest.schema,
        variants=(as_given({}),),
        files=(BundleFile("function.py", 3, digest),),
    )
    with pytest.raises(DigestMismatch, match="7 bytes"):
        store.materialise(lying, tmp_path / "out")
    assert store.missing([digest]) == []


@pytest.mark.parametrize("path", ["../out.py", "/etc/x", "a//b", "a/../../b"])
def test_materialise_never_leaves_its_folder(store: BlobStore, tmp_path: Path, path: str) -> None:
    """A path that climbs or is absolute is refused, whoever made the manifest."""
    put(store, b"x")
    with pytest.raises(InvalidManifest):
        store.materialise(manifest_of({path: b"x"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_materialise_refuses_an_existing_folder_and_leaves_it_alone(
    store: BlobStore, tmp_path: Path
) -> None:
    """A folder that is there already may be serving."""
    (tmp_path / "file").write_text("precious")
    with pytest.raises(FileExistsError):
        store.materialise(manifest_of({}), tmp_path)
    assert (tmp_path / "file").read_text() == "precious"


def test_keep_frees_what_is_old_and_unused(store: BlobStore) -> None:
    """Blobs that are used, or were asked for a moment ago, stay; the rest goes and is counted."""
    used, fresh, old, asked = (put(store, data) for data in (b"used", b"fresh", b"old!!", b"asked"))
    long_ago = time.time() - 7200
    for digest in (used, old, asked):
        os.utime(store.path(digest), (long_ago, long_ago))
    assert store.missing([asked]) == []
    assert store.keep({used}) == len(b"old!!")
    assert store.missing([used, fresh, old, asked]) == [old]


def test_keep_on_a_store_that_was_never_written_frees_nothing(store: BlobStore) -> None:
    """An empty store has no garbage."""
    assert store.keep(set()) == 0
