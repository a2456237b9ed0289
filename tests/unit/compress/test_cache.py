"""Results that are kept between builds."""

import os
from pathlib import Path

import pytest

from edgefn.compress.cache import Cache, default_folder, key_of


def used(folder: Path, key: str, at_s: int) -> None:
    os.utime(folder / key, (at_s, at_s))


def test_what_was_put_is_found_by_another_process(tmp_path: Path) -> None:
    """The folder is all there is; it need not exist before."""
    Cache(tmp_path / "a/b").put("k", b"content")
    assert Cache(tmp_path / "a/b").get("k") == b"content"
    assert Cache(tmp_path / "a/b").get("other") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_entry_is_none_and_can_be_made_again(tmp_path: Path, damage: str) -> None:
    """What a bad disk returns is never taken for a model."""
    cache = Cache(tmp_path)
    cache.put("k", b"content")
    raw = (tmp_path / "k").read_bytes()
    (tmp_path / "k").write_bytes(
        {"cut": raw[:-1], "flipped": raw[:-1] + b"\xff", "emptied": b""}[damage]
    )
    assert cache.get("k") is None
    cache.put("k", b"content")
    assert cache.get("k") == b"content"


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    """Being read counts as use."""
    cache = Cache(tmp_path, limit_bytes=3 * (32 + 100))
    for index, key in enumerate("abc"):
        cache.put(key, bytes(100))
        used(tmp_path, key, 1000 + index)
    assert cache.get("a") is not None
    cache.put("d", bytes(100))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_an_entry_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    """Nor does it push the others out."""
    cache = Cache(tmp_path, limit_bytes=200)
    cache.put("small", b"x")
    cache.put("large", bytes(200))
    assert cache.get("large") is None
    assert cache.get("small") == b"x"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Old partial files go; a young one may belong to a build that runs now."""
    for name, at_s in (("k-1.partial", 1), ("k-2.partial", 1 << 40)):
        (tmp_path / name).write_bytes(b"half")
        used(tmp_path, name, at_s)
    Cache(tmp_path).put("k", b"content")
    assert {path.name for path in tmp_path.iterdir()} == {"k", "k-2.partial"}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Then nothing is kept."""
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    cache.put("k", b"content")
    assert cache.get("k") is None


def test_a_key_tells_apart_what_only_looks_alike() -> None:
    """Where one part ends and the next begins counts."""
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("ab", b"c") == key_of(b"ab", "c")


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    """XDG_CACHE_HOME, if it is absolute."""
    assert default_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/edgefn/variants")
    assert default_folder({"XDG_CACHE_HOME": "c"}) == default_folder({})
