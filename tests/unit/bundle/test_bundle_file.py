"""Bundles as one file each."""

import hashlib
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgefn.bundle.build import Bundle
from edgefn.bundle.content import Content
from edgefn.bundle.file import MAGIC, InvalidBundle, read_bundle, write_bundle
from edgefn.bundle.keys import SigningKey
from edgefn.bundle.signing import BadSignature, sign
from edgefn.bundle.store import DigestMismatch
from edgefn_runtime.manifest import (
    BundleFile,
    FunctionSchema,
    FunctionSpec,
    InvalidManifest,
    Manifest,
)
from edgefn_runtime.variant import as_given

KEY = SigningKey(bytes(32))
FILES = {"b.txt": b"same", "copies/a.txt": b"same", "empty.txt": b"", "function.py": b"code" * 99}


def make_bundle(folder: Path, files: dict[str, bytes] = FILES, sequence: int = 7) -> Bundle:
    listed, contents = [], {}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        listed.append(BundleFile(name, len(data), digest))
        contents[digest] = Content(path=path, size=len(data))
    manifest = Manifest(
        module="function.py",
        attribute="f",
        spec=FunctionSpec(name="f", doc="ä"),
        schema=FunctionSchema(input={"b": 1, "a": 2.5}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given({}),),
        files=tuple(listed),
    )
    signature = sign(KEY, manifest.digest(), sequence=sequence)
    return Bundle(manifest=manifest, files=contents, signature=signature)


def head(manifest: bytes, signature: bytes) -> bytes:
    lengths = (struct.pack(">I", len(part)) + part for part in (manifest, signature))
    return MAGIC + b"".join(lengths)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "source")


@pytest.fixture
def path(tmp_path: Path, bundle: Bundle) -> Path:
    made = tmp_path / "f.edgefn"
    write_bundle(bundle, made)
    return made


def test_what_is_written_is_read(bundle: Bundle, path: Path) -> None:
    """Each distinct content is there once, and is served from the file."""
    found = read_bundle(path)
    assert (found.manifest, found.signature) == (bundle.manifest, bundle.signature)
    for file in found.manifest.files:
        assert found.files[file.sha256].read_bytes() == FILES[file.path]
    assert path.read_bytes().count(b"same") == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["f.edgefn", "source"]


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path, path: Path) -> None:
    """Wherever its files are; with another signature only that differs."""
    write_bundle(make_bundle(tmp_path / "elsewhere"), tmp_path / "again.edgefn")
    assert (tmp_path / "again.edgefn").read_bytes() == path.read_bytes()
    later = make_bundle(tmp_path / "later", sequence=8)
    write_bundle(later, tmp_path / "later.edgefn")
    data = (tmp_path / "later.edgefn").read_bytes()
    start = data.index(later.signature.encode())
    assert data[:start] == path.read_bytes()[:start]
    end = start + len(later.signature.encode())
    assert data[end:] == path.read_bytes()[end:]


def test_a_file_that_changed_since_is_not_written(bundle: Bundle, tmp_path: Path) -> None:
    """What was there before stays, and nothing is left behind."""
    target = tmp_path / "f.edgefn"
    target.write_text("before")
    (tmp_path / "source" / "function.py").write_bytes(b"c0de" * 99)
    with pytest.raises(DigestMismatch, match=r"'function\.py' changed"):
        write_bundle(bundle, target)
    assert target.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cut_file_is_refused_wherever_it_is_cut(path: Path) -> None:
    """Down to nothing."""
    data = path.read_bytes()
    for length in {len(data) * part // 100 for part in range(100)} | {1, 8, 12, len(data) - 1}:
        path.write_bytes(data[:length])
        with pytest.raises(InvalidBundle, match="truncated|not a bundle"):
            read_bundle(path)


def test_nothing_may_follow_the_end(path: Path) -> None:
    """Not a byte, not another bundle."""
    data = path.read_bytes()
    for rest in (b"\0", data):
        path.write_bytes(data + rest)
        with pytest.raises(InvalidBundle, match="goes on after its end"):
            read_bundle(path)


def zip_bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../function.py", bytes(50_000_000))
    return made.getvalue()


def tar(mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        link = tarfile.TarInfo("function.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return made.getvalue()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (zip_bomb, "a zip file"),
        (lambda: tar("w:gz"), "a gzip file"),
        (lambda: tar("w:bz2"), "a bzip2 file"),
        (lambda: tar("w"), "begins with b'function'"),
        (lambda: b"", "an empty file"),
        (lambda: MAGIC[:-1] + b"\n", "begins with"),
    ],
)
def test_an_archive_is_not_a_bundle(tmp_path: Path, make: Callable[[], bytes], named: str) -> None:
    """It is never opened, whatever it would unpack to."""
    path = tmp_path / "f.edgefn"
    path.write_bytes(make())
    with pytest.raises(InvalidBundle, match=named):
        read_bundle(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe without a writer does not keep the reader waiting, nor does a device without end."""
    make(tmp_path / "f.edgefn")
    with pytest.raises(InvalidBundle, match="not a regular file"):
        read_bundle(tmp_path / "f.edgefn")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (MAGIC + b"\xff" * 4, "manifest has 4294967295 bytes"),
        (head(b"", b"")[:-4] + b"\0\0\x10\0", "signature has 4096 bytes"),
    ],
)
def test_a_length_is_checked_before_anything_is_read(
    tmp_path: Path, data: bytes, named: str
) -> None:
    """Four bytes do not make a reader allocate four gigabytes."""
    path = tmp_path / "f.edgefn"
    path.write_bytes(data)
    with pytest.raises(InvalidBundle, match=named):
        read_bundle(path)


def _spaced(manifest: bytes) -> bytes:
    return manifest.replace(b'{"format"', b'{ "format"')


def _more(manifest: bytes) -> bytes:
    return manifest.replace(b'"v2_inputs"', b'"v3":0,"v2_inputs"')


def _unsorted(manifest: bytes) -> bytes:
    return manifest.replace(b'"a":2.5,"b":1', b'"b":1,"a":2.5')


def _twice(manifest: bytes) -> bytes:
    return manifest.replace(b'"attribute"', b'"attribute":"g","attribute"')


@pytest.mark.parametrize("change", [_spaced, _more, _unsorted, _twice])
def test_a_manifest_has_one_spelling(
    bundle: Bundle, path: Path, change: Callable[[bytes], bytes]
) -> None:
    """Even its own signer cannot make another file of it."""
    manifest = change(bundle.manifest.encode())
    assert manifest != bundle.manifest.encode()
    signature = sign(KEY, hashlib.sha256(manifest).hexdigest(), sequence=7)
    rest = path.read_bytes()[len(head(bundle.manifest.encode(), bundle.signature.encode())) :]
    path.write_bytes(head(manifest, signature.encode()) + rest)
    with pytest.raises(InvalidManifest, match="canonical"):
        read_bundle(path)


def test_a_signature_of_another_bundle_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    """Two good files do not make a third."""
    other = make_bundle(tmp_path / "other", {"function.py": b"other"})
    mixed = Bundle(manifest=bundle.manifest, files=bundle.files, signature=other.signature)
    write_bundle(mixed, tmp_path / "mixed.edgefn")
    with pytest.raises(BadSignature, match="put together from two"):
        read_bundle(tmp_path / "mixed.edgefn")


def test_contents_that_are_exchanged_are_refused(path: Path) -> None:
    """Their order is that of the manifest."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"same" + b"code" * 99, b"code" * 99 + b"same"))
    with pytest.raises(InvalidBundle, match="is damaged"):
        read_bundle(path)


def test_equal_contents_have_equal_sizes(bundle: Bundle, path: Path) -> None:
    """A signed manifest that says otherwise is none."""
    files = list(bundle.manifest.files)
    files[1] = BundleFile(files[1].path, files[1].size + 1, files[1].sha256)
    manifest = msgspec.structs.replace(bundle.manifest, files=tuple(files))
    signature = sign(KEY, manifest.digest(), sequence=7)
    path.write_bytes(head(manifest.encode(), signature.encode()) + b"same" + b"code" * 99)
    with pytest.raises(InvalidManifest, match="another size"):
        read_bundle(path)
