"""Locks: what one may say, where one is kept, and which one decides."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.bundle.environment import LOCK_FILE, environment_of, write_lock_file
from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.installer import PYTHON, explain
from edgefn.bundle.lock import InvalidLock, Locked, parse_lock, render_lock
from edgefn.bundle.lock_file import Wanted, read_locks, write_locks

HASH = "a" * 64
LOCK = f"scipy==1.16.0 \\\n    --hash=sha256:{HASH}\n"

SUFFIXES = st.sampled_from(["", "rc1", ".post2"])
locked = st.builds(
    Locked,
    name=st.sampled_from(["scipy", "a", "x-y", "b2"]),
    version=st.builds("{}.{}{}".format, st.integers(0, 99), st.integers(0, 99), SUFFIXES),
    marker=st.sampled_from(["", 'python_version < "3.14"', 'sys_platform == "win32"']),
    hashes=st.sets(st.integers(0, 2**256 - 1), min_size=1, max_size=3).map(
        lambda numbers: tuple(sorted(f"{number:064x}" for number in numbers))
    ),
)


@given(st.lists(locked, max_size=5, unique_by=lambda each: (each.name, each.version)))
def test_what_is_rendered_is_read_again_in_any_order(distributions: list[Locked]) -> None:
    """The text of a lock depends on what is in it, and on nothing else."""
    text = render_lock(distributions)
    assert set(parse_lock(text)) == set(distributions)
    assert render_lock(reversed(distributions)) == text


def test_names_and_markers_are_normalised() -> None:
    """However a tool spells them, comments left out."""
    text = f"# via x\nMy_Package==1.0.0 ; os_name=='posix'    --hash=sha256:{HASH}\n"
    (found,) = parse_lock(text)
    assert (found.name, found.version, found.marker) == (
        "my-package",
        "1.0.0",
        'os_name == "posix"',
    )
    assert found.applies()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url http://x/",
        "-e .",
        "-r other.txt",
        "scipy",
        "scipy==1.0",
        "scipy>=1.0 --hash=sha256:" + HASH,
        "scipy==1.0 --hash=md5:abc",
        "scipy @ file:///tmp/x.whl --hash=sha256:" + HASH,
        "scipy==1.0 --hash=sha256:" + HASH + " --index-url http://x/",
        "scipy==1.0 ; os_name == 'x' --pre --hash=sha256:" + HASH,
        "scipy==nonsense --hash=sha256:" + HASH,
    ],
)
def test_a_lock_says_nothing_but_versions_and_hashes(line: str) -> None:
    """No index, URL, folder or option: what installs it would follow them."""
    with pytest.raises(InvalidLock, match="the lock has the line"):
        parse_lock(line)


def test_a_lock_file_has_a_lock_for_each_set_of_requirements(tmp_path: Path) -> None:
    """Functions of one folder may need different things."""
    other = LOCK.replace("1.16.0", "1.15.0")
    locks = {
        Wanted("3.11", ("scipy<1.16,>=1.15",)): other,
        Wanted("3.11", ('numpy; os_name == "a, b"', "scipy")): LOCK,
    }
    write_locks(tmp_path / LOCK_FILE, locks)
    assert read_locks(tmp_path / LOCK_FILE) == locks
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


def test_the_lock_of_the_folder_decides(tmp_path: Path) -> None:
    """It needs no index, and spelling and order of the requirements do not matter."""
    write_locks(tmp_path / LOCK_FILE, {Wanted(PYTHON, ("numpy", "scipy>=1.14")): LOCK})
    found = environment_of(("scipy >= 1.14", "numpy"), tmp_path)
    assert found is not None
    assert (found.lock, found.python, found.wheels) == (LOCK, PYTHON, ())


def test_a_lock_of_requirements_that_are_gone_goes(tmp_path: Path) -> None:
    """Without requirements there is no environment, and no lock."""
    write_locks(tmp_path / LOCK_FILE, {Wanted(PYTHON, ("scipy",)): LOCK})
    assert environment_of((), tmp_path) is None
    write_lock_file(tmp_path, [("scipy",), ()])
    assert read_locks(tmp_path / LOCK_FILE) == {Wanted(PYTHON, ("scipy",)): LOCK}
    write_lock_file(tmp_path, [(), ()])
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_damaged_lock_is_named(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / LOCK_FILE).write_text("# Python 3.11\n# requires scipy\nscipy\n")
    with pytest.raises(BuildFailed, match=r"requirements.lock: .*'scipy'.* Delete the file"):
        environment_of(("scipy",), tmp_path)


@pytest.mark.parametrize("text", [LOCK, "<<<<<<< HEAD\n# Python 3.11\n# requires scipy\n", "x\n"])
def test_a_file_that_is_not_ours_is_neither_used_nor_removed(tmp_path: Path, text: str) -> None:
    """Another tool may have written it, or a merge went wrong."""
    (tmp_path / LOCK_FILE).write_text(text)
    with pytest.raises(BuildFailed, match="does not begin with '# Python '"):
        environment_of(("scipy",), tmp_path)
    write_lock_file(tmp_path, [()])
    assert (tmp_path / LOCK_FILE).read_text() == text


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, Path.mkdir])
def test_a_lock_file_without_a_lock_stops_nobody(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """An empty one has no locks; from what is no file nothing is awaited."""
    make(tmp_path / LOCK_FILE)
    if make is Path.touch:
        assert read_locks(tmp_path / LOCK_FILE) == {}
        return
    with pytest.raises(BuildFailed, match="cannot be read"):
        read_locks(tmp_path / LOCK_FILE)


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [("edgefn>=0.1", "every box has"), ("x @ https://example.org/x.whl", "names a URL")],
)
def test_what_no_lock_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requirement: str, problem: str
) -> None:
    """Before the index is asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BuildFailed, match=problem):
        environment_of((requirement,), tmp_path)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement a==9 (from versions: "
            "1.0, 2.0)\nERROR: No matching distribution found for a==9",
            r"a 9 has no wheel for .*, Python .* on the index; the newest that has one is 2.0",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement a (from "
            "versions: none)",
            "a has no wheel for .* on the index, in no version",
        ),
        (
            "ERROR: Cannot install a and b because\n\nThe conflict is caused by:\n"
            "    The user requested a<1\n    b 2.0 depends on a>=1\n\nTo fix this\n",
            "The user requested a<1; b 2.0 depends on a>=1$",
        ),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n"
            "ERROR: Could not find a version that satisfies the requirement a (from "
            "versions: none)",
            "the package index cannot be reached",
        ),
        (
            "error: Request failed\n  cause: Failed to fetch: http://x/\n  cause: dns error",
            "the package index cannot be reached",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If\n"
            "    a==1.0 from file:///x (from -r y):\n        Expected sha256 0\n",
            "the file of a==1.0 has another SHA-256",
        ),
        (
            "error: No solution found\n  cause: Because only a<=1 is available and\n   x\n"
            "         And because you require a>=2, it is unsatisfiable.",
            "Because only a<=1 is available and because you require a>=2, it is unsatisfiable.",
        ),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("something\nnew: happened\n\n", "new: happened"),
        ("", "it said nothing"),
    ],
)
def test_what_an_installer_says_becomes_a_sentence(output: str, sentence: str) -> None:
    """pip's and uv's own words, as far as they say why."""
    assert re.match(sentence, explain(output)), explain(output)
