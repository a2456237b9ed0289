"""Which files of a folder belong to a bundle."""

import os
import socket
import stat
from pathlib import Path

import pytest

from edgefn.bundle import gather as gathering
from edgefn.bundle.gather import BuildFailed, gather, hash_file


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_everything_visible_belongs_to_it_in_a_fixed_order(tmp_path: Path) -> None:
    """Files of all depths come, sorted by path, wherever the file system puts them."""
    fill(tmp_path, "z.py", "function.py", "models/b.onnx", "models/a.onnx", "a-b.txt")
    found = gather(tmp_path)
    assert list(found) == ["a-b.txt", "function.py", "models/a.onnx", "models/b.onnx", "z.py"]
    assert all(found[name] == tmp_path / name for name in found)


def test_what_tools_leave_behind_does_not(tmp_path: Path) -> None:
    """Hidden files, byte code and virtual environments are left out."""
    fill(tmp_path, "function.py", ".env", ".git/config", "__pycache__/f.pyc", "x.pyc")
    fill(tmp_path, "venv/pyvenv.cfg", "venv/lib/thing.py")
    assert list(gather(tmp_path)) == ["function.py"]


def test_the_ignore_file_names_what_else_to_leave_out(tmp_path: Path) -> None:
    """Patterns are held against the whole path and each name; comments and empty lines are none."""
    fill(tmp_path, "function.py", "train.py", "samples/a.wav", "deep/samples/b.wav", "raw/x.csv")
    fill(tmp_path, "raw/y.bin", "data/raw/z.bin")
    (tmp_path / ".edgefnignore").write_text("# not needed\n\nsamples/\n*.csv\n train.py \nraw/y*\n")
    assert list(gather(tmp_path)) == ["data/raw/z.bin", "function.py"]


def test_a_link_inside_the_folder_is_its_target(tmp_path: Path) -> None:
    """A link to a file of the same folder counts as a file."""
    fill(tmp_path, "real.txt")
    (tmp_path / "link.txt").symlink_to("real.txt")
    assert list(gather(tmp_path)) == ["link.txt", "real.txt"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Nothing outside the folder comes into a bundle, by whatever name."""
    fill(tmp_path, "secret", "inside/function.py")
    (tmp_path / "inside/key").symlink_to(tmp_path / "secret")
    with pytest.raises(BuildFailed, match="copy the file into it"):
        gather(tmp_path / "inside")


@pytest.mark.parametrize("target", ["nowhere", "loop"])
def test_a_link_to_nothing_is_refused(tmp_path: Path, target: str) -> None:
    """Dangling and circular links are named."""
    (tmp_path / "loop").symlink_to(target)
    with pytest.raises(BuildFailed, match=r"loop: cannot be read"):
        gather(tmp_path)


def test_only_regular_files_are_taken(tmp_path: Path) -> None:
    """Sockets, pipes and links to folders are refused, not waited on."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("x")
    (tmp_path / "to_folder").symlink_to("sub")
    with pytest.raises(BuildFailed, match="a link to a folder"):
        gather(tmp_path)
    (tmp_path / "to_folder").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildFailed, match="a socket, pipe or device"):
        gather(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "s"))
        with pytest.raises(BuildFailed, match="a socket, pipe or device"):
            gather(tmp_path)


def test_a_device_is_named_and_never_read(tmp_path: Path) -> None:
    """It would have no end."""
    try:
        os.mknod(tmp_path / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")
    with pytest.raises(BuildFailed, match="zero is a socket, pipe or device"):
        gather(tmp_path)


def test_a_sparse_file_counts_with_its_whole_size(tmp_path: Path) -> None:
    """It takes no room on this disk, and would take all of it on a box."""
    (tmp_path / "holes.bin").touch()
    os.truncate(tmp_path / "holes.bin", 1 << 40)
    with pytest.raises(BuildFailed, match=r"'holes\.bin' included"):
        gather(tmp_path)
    with pytest.raises(BuildFailed, match=r"holes\.bin has 1099511627776 bytes"):
        hash_file(tmp_path / "holes.bin", tmp_path)


def test_a_hard_link_is_just_content(tmp_path: Path) -> None:
    """What has two names on this disk is copied under one into the bundle."""
    fill(tmp_path, "elsewhere/data.txt", "inside/function.py")
    os.link(tmp_path / "elsewhere/data.txt", tmp_path / "inside/data.txt")
    found = gather(tmp_path / "inside")
    assert list(found) == ["data.txt", "function.py"]
    assert hash_file(found["data.txt"], tmp_path / "inside")[0] == len("elsewhere/data.txt")


def test_bundles_are_no_part_of_bundles(tmp_path: Path) -> None:
    """Those that were built here are left out, and so is what the caller says."""
    fill(tmp_path, "function.py", "f.edgefn", "variants/m.onnx", "deep/variants/m.onnx")
    assert list(gather(tmp_path, left_out=("variants/*",))) == [
        "deep/variants/m.onnx",
        "function.py",
    ]


def test_limits_are_those_of_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files, or too many bytes, are refused with the way out."""
    fill(tmp_path, "a", "b", "c")
    monkeypatch.setattr(gathering, "MAX_FILES", 2)
    with pytest.raises(BuildFailed, match=r"more than 2 files.*\.edgefnignore"):
        gather(tmp_path)
    monkeypatch.setattr(gathering, "MAX_FILES", 10)
    monkeypatch.setattr(gathering, "MAX_BUNDLE_BYTES", 2)
    with pytest.raises(BuildFailed, match=r"more than 0 MiB, 'c' included"):
        gather(tmp_path)
