"""One box a state directory."""

import os
from pathlib import Path

import pytest

from edgefn.box.lock import StateLock
from edgefn.errors import ConfigError, StateLocked


def test_the_second_box_is_told_who_was_first(tmp_path: Path) -> None:
    """With its process, its URL and what to do."""
    lock = StateLock.acquire(tmp_path / "a" / "state")
    lock.tell("http://127.0.0.1:8080")
    with pytest.raises(StateLocked, match=rf"process {os.getpid()}, uses .*edgefn down") as caught:
        StateLock.acquire(tmp_path / "a" / "state")
    assert caught.value.detail == {"pid": os.getpid(), "url": "http://127.0.0.1:8080"}
    lock.release()


def test_a_released_lock_can_be_taken(tmp_path: Path) -> None:
    """What the one before wrote does not count any more."""
    lock = StateLock.acquire(tmp_path)
    lock.tell("http://127.0.0.1:8080/with/a/long/path")
    lock.release()
    StateLock.acquire(tmp_path).release()
    assert (tmp_path / "lock").read_text() == f'{{"pid":{os.getpid()},"url":""}}'


def test_the_state_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    """Nobody else reads functions or logs."""
    StateLock.acquire(tmp_path / "state").release()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Here a file stands where the directory should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match=r"state cannot be used: File exists"):
        StateLock.acquire(tmp_path / "state")
