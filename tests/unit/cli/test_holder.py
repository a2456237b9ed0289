"""Who holds a state directory, by the kernel's word."""

import fcntl
import os
from pathlib import Path

import pytest

from edgefn.cli.holder import holder_of


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock"
    path.write_text(f'{{"pid":{os.getpid()},"url":"http://127.0.0.1:1"}}')
    return path


def test_a_process_that_holds_the_lock_is_the_holder(lock: Path) -> None:
    """Its number and URL are those in the file."""
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = holder_of(lock.parent)
    assert holder is not None
    assert (holder.pid, holder.url) == (os.getpid(), "http://127.0.0.1:1")


def test_a_file_that_was_left_behind_names_nobody(lock: Path) -> None:
    """Even if the number in it belongs to a process that lives: this one does."""
    assert holder_of(lock.parent) is None


def test_a_lock_of_another_process_is_not_that_of_the_one_in_the_file(lock: Path) -> None:
    """A process is never signalled for a lock that another holds."""
    lock.write_text('{"pid":1,"url":""}')
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holder_of(lock.parent) is None


@pytest.mark.parametrize("content", [None, "", "{", '{"pid":"x"}', "[]"])
def test_a_missing_or_damaged_file_names_nobody(tmp_path: Path, content: str | None) -> None:
    """There is nothing to be done about it, and nothing breaks."""
    if content is not None:
        (tmp_path / "lock").write_text(content)
    assert holder_of(tmp_path) is None
