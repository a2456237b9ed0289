"""What a bundle says of itself."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn_runtime.manifest import (
    FORMAT,
    MAX_BUNDLE_BYTES,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    BundleFile,
    BundleTooLarge,
    FunctionSchema,
    FunctionSpec,
    InvalidManifest,
    Manifest,
    decode_canonical_manifest,
    decode_manifest,
)
from edgefn_runtime.variant import Variant, as_given

DIGEST = "0" * 64


def manifest(*paths: str, size: int = 1) -> Manifest:
    return Manifest(
        module="function.py",
        attribute="f",
        spec=FunctionSpec(name="f"),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given({}),),
        files=tuple(BundleFile(path, size, DIGEST) for path in ("function.py", *paths)),
    )


def test_a_manifest_survives_its_encoding() -> None:
    """What is decoded equals what was encoded, and has the same digest."""
    original = manifest("models/a.onnx")
    decoded = decode_manifest(original.encode())
    assert decoded == original
    assert decoded.digest() == original.digest()


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    """The canonical bytes are the same however the JSON was spelled."""
    original = manifest()
    shuffled = dict(reversed(msgspec.json.decode(original.encode()).items()))
    assert decode_manifest(msgspec.json.encode(shuffled)).digest() == original.digest()


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "", ".", "..", "a\\b", "a\0b",
        "a\nb", "x" * 256, "a/./b",
    ],
)  # fmt: skip
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    """Nothing that could leave the folder, or be read in two ways, is listed."""
    with pytest.raises(InvalidManifest, match="not a plain relative path"):
        decode_manifest(manifest(path).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"spec": FunctionSpec(name="f\n")},
        {"variants": (Variant(name="python\n", backend="python"),)},
        {"files": (BundleFile("function.py", 1, DIGEST + "\n"),)},
    ],
)
def test_a_name_does_not_end_a_line(change: dict[str, Any]) -> None:
    """Or it would end the header, the log line or the file that it is written to."""
    with pytest.raises(InvalidManifest, match="not a manifest"):
        decode_manifest(msgspec.structs.replace(manifest(), **change).encode())


@given(st.lists(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), min_size=1, max_size=4))
def test_plain_paths_are_taken(parts: list[str]) -> None:
    """Ordinary names pass."""
    decode_manifest(manifest("data/" + "/".join(parts)).encode())


def test_names_that_differ_in_case_only_are_refused() -> None:
    """Two such files would be one on some systems."""
    with pytest.raises(InvalidManifest, match="listed twice"):
        decode_manifest(manifest("Model.onnx", "model.onnx").encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9.txt", "cafe\u0301.txt"),
        ("caf\u00c9.txt", "cafe\u0301.txt"),
        ("stra\u00dfe.txt", "STRASSE.txt"),
        ("same.txt", "same.txt"),
    ],
)
def test_names_that_some_systems_take_for_one_are_refused(one: str, other: str) -> None:
    """Composed or not, folded or not."""
    with pytest.raises(InvalidManifest, match="listed twice"):
        decode_manifest(manifest(one, other).encode())


@pytest.mark.parametrize("below", ["data/x", "data/deep/x", "DATA/x"])
def test_a_file_is_no_folder(below: str) -> None:
    """A path cannot be both, or writing it out would fail half-way."""
    with pytest.raises(InvalidManifest, match="listed as a file"):
        decode_manifest(manifest("data", below).encode())


def test_a_path_is_bounded_as_a_whole() -> None:
    """Many short names could still be too long for a system."""
    with pytest.raises(InvalidManifest, match="not a plain relative path"):
        decode_manifest(manifest("/".join(["abcdefghi"] * 103)).encode())


def test_equal_contents_have_equal_sizes() -> None:
    """One digest cannot be of two lengths."""
    files = (BundleFile("function.py", 1, DIGEST), BundleFile("other.py", 2, DIGEST))
    lying = msgspec.structs.replace(manifest(), files=files)
    with pytest.raises(InvalidManifest, match="another size"):
        decode_manifest(lying.encode())


def test_limits_are_held() -> None:
    """Neither too many files nor too many bytes are announced, nor is the manifest endless."""
    with pytest.raises(BundleTooLarge, match="at most 4096"):
        decode_manifest(manifest(*(f"f{number}" for number in range(MAX_FILES))).encode())
    for size in (MAX_BUNDLE_BYTES, 2**62):
        with pytest.raises(BundleTooLarge, match="bytes; at most"):
            decode_manifest(manifest("a", size=size).encode())
    with pytest.raises(BundleTooLarge, match="the manifest has"):
        decode_manifest(manifest().encode() + b" " * MAX_MANIFEST_BYTES)


def test_the_bytes_that_were_signed_have_one_spelling() -> None:
    """Another one of the same manifest is refused where the bytes matter."""
    encoded = manifest().encode()
    assert decode_canonical_manifest(encoded) == manifest()
    with pytest.raises(InvalidManifest, match="canonical"):
        decode_canonical_manifest(msgspec.json.format(encoded))


def test_a_newer_format_says_to_upgrade() -> None:
    """An old box says what to do about a new bundle."""
    newer = msgspec.structs.replace(manifest(), format=FORMAT + 1)
    with pytest.raises(
        InvalidManifest, match=f"has format {FORMAT + 1}; this box reads {FORMAT}. Upgrade"
    ):
        decode_manifest(newer.encode())


def test_the_module_must_be_among_the_files() -> None:
    """A manifest cannot point at what it does not bring."""
    stray = msgspec.structs.replace(manifest(), module="other.py")
    with pytest.raises(InvalidManifest, match="'other.py' is not among the files"):
        decode_manifest(stray.encode())


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    """Bytes that are no manifest raise `InvalidManifest` and nothing else."""
    with pytest.raises(InvalidManifest):
        decode_manifest(data)


@pytest.mark.parametrize("field", ["spec", "schema", "files", "module"])
def test_a_missing_field_is_named(field: str) -> None:
    """The message says which field is missing."""
    raw = msgspec.json.decode(manifest().encode())
    del raw[field]
    with pytest.raises(InvalidManifest, match=field):
        decode_manifest(msgspec.json.encode(raw))


def test_what_was_signed_before_a_field_existed_keeps_its_bytes() -> None:
    """Fields that came later are written only where they say something."""
    plain = manifest()
    written = msgspec.json.decode(plain.encode())["spec"]
    assert not {"priority", "idempotent", "escalate_below", "degrade"} & written.keys()
    assert decode_canonical_manifest(plain.encode()) == plain
    spec = FunctionSpec(name="f", priority=9, idempotent=True, escalate_below=0.8)
    told = msgspec.structs.replace(plain, spec=spec)
    assert {"priority", "idempotent", "escalate_below"} <= msgspec.json.decode(told.encode())[
        "spec"
    ].keys()
    assert decode_canonical_manifest(told.encode()) == told
    assert told.digest() != plain.digest()
