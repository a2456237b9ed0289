"""The folder of variants: old or new, never a mixture."""

import os
from pathlib import Path

import pytest

from edgefn.bundle.gather import BuildFailed
from edgefn.compress.results import folder as variants_folder
from edgefn.compress.results.folder import write_folder

OLD = {"variants.json": b"old", "onnx-fp32.onnx": b"old model"}
NEW = {"variants.json": b"new", "onnx-int8-static.onnx": b"new model"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "variants").iterdir()}


@pytest.mark.parametrize("exchanges", [True, False])
def test_the_folder_is_replaced_as_a_whole(
    tmp_path: Path, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the file system can exchange two names; nothing is left beside it."""
    if not exchanges:
        monkeypatch.setattr(variants_folder, "_exchange", lambda new, current: False)
    write_folder(tmp_path, OLD)
    assert content(tmp_path) == OLD
    write_folder(tmp_path, NEW)
    assert content(tmp_path) == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["variants"]


def test_a_failed_write_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs nothing but the build."""
    write_folder(tmp_path, OLD)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BuildFailed, match="cannot be written"):
        write_folder(tmp_path, NEW)
    assert content(tmp_path) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["variants"]


def test_what_a_killed_build_left_is_swept(tmp_path: Path) -> None:
    """A young folder may belong to a build that runs now."""
    for name, at_s in ((".variants-dead", 1), (".variants-young", 1 << 40)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (at_s, at_s))
    write_folder(tmp_path, NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".variants-young", "variants"]


@pytest.mark.parametrize("kind", ["files", "link", "file"])
def test_a_folder_that_is_not_ours_is_not_replaced(tmp_path: Path, kind: str) -> None:
    """The user may have something of that name."""
    variants = tmp_path / "variants"
    if kind == "files":
        variants.mkdir()
        (variants / "precious.txt").write_text("")
    elif kind == "link":
        variants.symlink_to(tmp_path)
    else:
        variants.write_text("")
    with pytest.raises(BuildFailed, match="rename it"):
        write_folder(tmp_path, NEW)
