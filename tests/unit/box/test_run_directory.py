"""The folder of sockets and status pages."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.box.run_directory import RunDirectory


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def test_it_is_where_the_user_keeps_such_things(tmp_path: Path, short: Path) -> None:
    """For this user alone, and noted in the state directory."""
    run = RunDirectory.create(tmp_path, {"XDG_RUNTIME_DIR": str(short)})
    assert run.path.parent == short
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run").read_text() == str(run.path)
    run.remove()
    assert list(short.iterdir()) == list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["", "relative", "/nowhere/at/all", "/dev/null"])
def test_a_place_that_does_not_do_is_passed_over(
    tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The system's folder for temporary files takes its part."""
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    run = RunDirectory.create(tmp_path, {"XDG_RUNTIME_DIR": place})
    assert run.path.parent == short
    run.remove()


def test_a_path_that_is_too_long_for_sockets_is_passed_over(tmp_path: Path, short: Path) -> None:
    """Nothing is left in it."""
    long = short / ("x" * 90)
    long.mkdir()
    run = RunDirectory.create(tmp_path, {"XDG_RUNTIME_DIR": str(long)})
    assert run.path.parent != long
    assert list(long.iterdir()) == []
    run.remove()


def test_what_a_killed_box_left_is_removed(tmp_path: Path, short: Path) -> None:
    """By the next box on the same state directory."""
    environ = {"XDG_RUNTIME_DIR": str(short)}
    dead = RunDirectory.create(tmp_path, environ)
    (dead.path / "r1.sock").write_text("")
    alive = RunDirectory.create(tmp_path, environ)
    assert list(short.iterdir()) == [alive.path]
    alive.remove()


@pytest.mark.parametrize("name", ["precious", "edgefn-link", "edgefn-open"])
def test_nothing_but_what_a_box_made_is_removed(tmp_path: Path, short: Path, name: str) -> None:
    """A note that names something else does no harm."""
    precious = short / "precious"
    precious.mkdir(mode=0o700)
    (short / "edgefn-link").symlink_to(precious)
    (short / "edgefn-open").mkdir(mode=0o755)
    (tmp_path / "run").write_text(str(short / name))
    RunDirectory.create(tmp_path, {"XDG_RUNTIME_DIR": str(short)}).remove()
    assert {path.name for path in short.iterdir()} == {"precious", "edgefn-link", "edgefn-open"}
