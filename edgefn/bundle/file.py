"""A bundle as one file: the manifest, its signature, and each distinct content once.

    magic                8 bytes
    length, manifest     4 bytes, big-endian; canonical JSON
    length, signature    4 bytes, big-endian; canonical JSON
    contents             in the order in which the manifest first names each; nothing after them

There are no paths, links, modes or compressed bytes but for the manifest, so there is nothing to
traverse, to follow or to blow up. Each bit is either checked against a constant, signed, or part of
the signature; so no two files are the same bundle with the same signature.
"""

import hashlib
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from edgefn.bundle.build import Bundle
from edgefn.bundle.content import PIECE_BYTES, Content, open_regular
from edgefn.bundle.signing import Signature, decode_signature, verify
from edgefn.bundle.store import DigestMismatch, sync_folder
from edgefn_runtime.errors import EdgefnError
from edgefn_runtime.manifest import (
    MAX_MANIFEST_BYTES,
    BundleFile,
    Manifest,
    decode_canonical_manifest,
)

# The first byte is no text, the line end and the end-of-file mark show what "text mode" does.
MAGIC: Final = b"\x89EFN1\r\n\x1a"
MAX_SIGNATURE_BYTES: Final = 1024

_LENGTH: Final = struct.Struct(">I")
_ARCHIVES: Final = {b"PK": "a zip file", b"\x1f\x8b": "a gzip file", b"BZh": "a bzip2 file"}
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class InvalidBundle(EdgefnError):
    """A file that is not a bundle, or not all of one, or more than one."""

    code = "invalid_bundle"


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Writes a bundle to a file, all at once and durably. The same bundle gives the same bytes.

    Args:
        bundle: What to write.
        path: Of the file; one that is there is replaced.

    Raises:
        DigestMismatch: A file changed since the bundle was built.
        OSError: The disk is full or fails.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, _NEW, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(bundle, file)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def read_bundle(path: Path) -> Bundle:
    """Returns the bundle in a file, every byte of which was checked.

    Whether its signer is trusted is for a box to say. The contents stay in the file.

    Raises:
        InvalidBundle: It is something else, truncated, damaged, or goes on after its end.
        InvalidManifest: Its manifest is malformed, or beyond the limits.
        BadSignature: Its signature is not its signer's.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise InvalidBundle(f"{path} cannot be read: {error.strerror}") from error
    with file:
        file_bytes = os.fstat(file.fileno()).st_size
        manifest, signature = _read_head(file, path)
        contents = _locate(manifest, path, start=file.tell(), file_bytes=file_bytes)
        for digest, content in contents.items():
            _check_content(file, content, digest)
    return Bundle(manifest=manifest, files=contents, signature=signature)


def _write(bundle: Bundle, file: BinaryIO) -> None:
    file.write(MAGIC)
    for part in (bundle.manifest.encode(), bundle.signature.encode()):
        file.write(_LENGTH.pack(len(part)))
        file.write(part)
    for listed in _distinct(bundle.manifest):
        digest, size = hashlib.sha256(), 0
        for piece in bundle.files[listed.sha256].pieces():
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        if (digest.hexdigest(), size) != (listed.sha256, listed.size):
            raise DigestMismatch(f"{listed.path!r} changed since the bundle was built; build again")


def _read_head(file: BinaryIO, path: Path) -> tuple[Manifest, Signature]:
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise InvalidBundle(
            f"{path} is not a bundle but {_kind(magic)}; `edgefn build` makes bundles"
        )
    manifest_data = _read_part(file, path, "manifest", MAX_MANIFEST_BYTES)
    signature = decode_signature(_read_part(file, path, "signature", MAX_SIGNATURE_BYTES))
    verify(signature, hashlib.sha256(manifest_data).hexdigest())
    return decode_canonical_manifest(manifest_data), signature


def _read_part(file: BinaryIO, path: Path, name: str, max_bytes: int) -> bytes:
    (size,) = _LENGTH.unpack(_read_exactly(file, path, _LENGTH.size))
    if size > max_bytes:
        raise InvalidBundle(f"{path}: its {name} has {size} bytes; at most {max_bytes} may be")
    return _read_exactly(file, path, size)


def _read_exactly(file: BinaryIO, path: Path, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise InvalidBundle(f"{path} is truncated: it ends within its head; get it again")
    return data


def _locate(manifest: Manifest, path: Path, *, start: int, file_bytes: int) -> dict[str, Content]:
    """Returns where each content is, once the sizes add up to that of the file."""
    contents = {}
    offset = start
    for listed in _distinct(manifest):
        contents[listed.sha256] = Content(path=path, size=listed.size, offset=offset)
        offset += listed.size
    if file_bytes != offset:
        what = "is truncated" if file_bytes < offset else "goes on after its end"
        raise InvalidBundle(f"{path} {what}: it has {file_bytes} bytes, not {offset}; get it again")
    return contents


def _check_content(file: BinaryIO, content: Content, digest: str) -> None:
    found, left = hashlib.sha256(), content.size
    file.seek(content.offset)
    while left and (piece := file.read(min(left, PIECE_BYTES))):
        found.update(piece)
        left -= len(piece)
    if found.hexdigest() != digest:
        raise InvalidBundle(
            f"{content.path} is damaged: the content at byte {content.offset} has SHA-256 "
            f"{found.hexdigest()}, not {digest}; get it again"
        )


def _distinct(manifest: Manifest) -> Iterator[BundleFile]:
    seen = set()
    for listed in manifest.files:
        if listed.sha256 not in seen:
            seen.add(listed.sha256)
            yield listed


def _kind(magic: bytes) -> str:
    for start, kind in _ARCHIVES.items():
        if magic.startswith(start):
            return kind
    return f"a file that begins with {magic!r}" if magic else "an empty file"
