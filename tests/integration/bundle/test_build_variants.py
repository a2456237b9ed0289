"""Bundles from a folder in which `edgefn build` left variants, and their samples."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.file import read_bundle, write_bundle
from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.signing import verify

CODE = """
from edgefn import Model, edge_function

@edge_function(model="given.onnx")
def scored(x: float, model: Model) -> float: return x

@edge_function
def plain(x: float) -> float: return x
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def variant(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "backend": "onnx", "models": {"model": path}}


class Folder:
    """A function's folder with two functions, a model, and what was built of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("function.py", CODE.encode())
        self.write("given.onnx", b"given")
        self.write("variants/scored-int8.onnx", b"int8")
        self.write("variants/report.html", b"a report")
        self.write("variants/other.onnx", b"of another function")
        self.record: dict[str, Any] = {
            "given": {"model": sha256(b"given")},
            "variants": [variant("onnx-int8-dynamic", "variants/scored-int8.onnx")],
            "digests": {"variants/scored-int8.onnx": sha256(b"int8")},
        }

    def write(self, name: str, data: bytes) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def build(self, function: str = "scored") -> Bundle:
        text = json.dumps({"format": 1, "functions": {"scored": self.record}})
        self.write("variants/variants.json", text.encode())
        (bundle,) = build(f"{self.path}::{function}")
        return bundle


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "source")


def names(bundle: Bundle) -> list[str]:
    return [file.path for file in bundle.manifest.files]


def test_the_variants_that_were_built_are_deployed(folder: Folder) -> None:
    """With their models alone: neither the given one, nor the report, nor those of others."""
    bundle = folder.build()
    assert [one.name for one in bundle.manifest.variants] == ["onnx-int8-dynamic"]
    assert names(bundle) == ["function.py", "variants/scored-int8.onnx"]
    assert bundle.notes == ()
    assert bundle.files[sha256(b"int8")].read_bytes() == b"int8"


def test_a_variant_may_be_the_model_as_it_was_given(folder: Folder) -> None:
    """Then that one is in the bundle."""
    folder.record["variants"].append(variant("onnx", "given.onnx"))
    folder.record["digests"]["given.onnx"] = sha256(b"given")
    bundle = folder.build()
    assert len(bundle.manifest.variants) == 2
    assert names(bundle) == ["function.py", "given.onnx", "variants/scored-int8.onnx"]


def test_a_changed_model_serves_as_it_is_with_a_note(folder: Folder) -> None:
    """What was built of the old one is left out."""
    folder.write("given.onnx", b"retrained")
    bundle = folder.build()
    assert [one.name for one in bundle.manifest.variants] == ["onnx"]
    assert names(bundle) == ["function.py", "given.onnx"]
    (note,) = bundle.notes
    assert note.startswith("scored: its variants were made from another given.onnx; run `edgefn b")


def test_a_function_that_was_not_built_is_as_it_is(folder: Folder) -> None:
    """Beside one that was."""
    bundle = folder.build("plain")
    assert [one.name for one in bundle.manifest.variants] == ["python"]
    assert (names(bundle), bundle.notes) == (["function.py", "given.onnx"], ())


def _lose(folder: Folder) -> None:
    (folder.path / "variants/scored-int8.onnx").unlink()


def _damage(folder: Folder) -> None:
    folder.write("variants/scored-int8.onnx", b"int9")


def _climb(folder: Folder) -> None:
    folder.record["variants"] = [variant("onnx", "../outside.onnx")]


def _link_out(folder: Folder) -> None:
    _lose(folder)
    folder.path.with_name("outside.onnx").write_bytes(b"int8")
    (folder.path / "variants/scored-int8.onnx").symlink_to(folder.path.with_name("outside.onnx"))


def _misspell(folder: Folder) -> None:
    folder.record["variant"] = []


def _not_listed(folder: Folder) -> None:
    folder.record["digests"] = {}


@pytest.mark.parametrize("harm", [_lose, _damage, _climb, _link_out, _misspell, _not_listed])
def test_a_damaged_build_is_named(folder: Folder, harm: Callable[[Folder], None]) -> None:
    """With what to do about it."""
    harm(folder)
    with pytest.raises(BuildFailed, match="edgefn build"):
        folder.build()


def test_the_same_folder_gives_the_same_bundle_file(folder: Folder, tmp_path: Path) -> None:
    """But for the signature; and it is its user's."""
    bundles = [folder.build(), folder.build()]
    first, second = bundles
    assert first.manifest.encode() == second.manifest.encode()
    assert first.signature.key == second.signature.key
    verify(first.signature, second.manifest.digest())
    for number, bundle in enumerate(bundles):
        write_bundle(bundle, tmp_path / f"{number}.edgefn")
    one, other = ((tmp_path / f"{number}.edgefn").read_bytes() for number in range(2))
    one = one.replace(first.signature.encode(), b"")
    assert one == other.replace(second.signature.encode(), b"")
    assert read_bundle(tmp_path / "0.edgefn").signature == first.signature


def test_samples_are_whole_requests_of_the_folder(tmp_path: Path) -> None:
    """The first sixteen by name, of known types and not too large; the rest are just files."""
    folder = tmp_path / "only"
    folder.mkdir()
    (folder / "function.py").write_text(
        "from edgefn import edge_function\n@edge_function\ndef f(x: float) -> float: return x\n"
    )
    (folder / "samples/deep").mkdir(parents=True)
    for name in ("notes.txt", "deep/x.json", *(f"{number:02}.json" for number in range(20))):
        (folder / "samples" / name).write_text('{"x": 1}')
    (folder / "samples/00.json").write_bytes(b" " * 1_000_001)
    (folder / "samples/0a.wav").write_bytes(b"RIFF")
    (bundle,) = build(str(folder))
    expected = sorted(["0a.wav", *(f"{number:02}.json" for number in range(1, 20))])[:16]
    assert bundle.manifest.samples == tuple(f"samples/{name}" for name in expected)
    assert {"samples/notes.txt", "samples/19.json"} <= set(names(bundle))
    (folder / ".edgefnignore").write_text("samples\n")
    assert build(str(folder))[0].manifest.samples == ()
