"""The user's keys, on a real file system."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgefn.bundle.keys import (
    config_dir,
    fingerprint,
    is_public_key,
    new_key,
    own_key,
    read_public_key,
)
from edgefn.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config" / "edgefn"


def test_the_first_use_makes_a_key_that_stays(folder: Path) -> None:
    """Nobody else can read it; the public half is there for the box."""
    assert read_public_key(folder) is None
    key = own_key(folder)
    assert own_key(folder).public == key.public == read_public_key(folder)
    assert is_public_key(key.public)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"key": 0o600, "key.pub": 0o600}


def test_a_key_is_given_up_only_when_told_to(folder: Path) -> None:
    """Boxes trust the old one."""
    first = new_key(folder)
    with pytest.raises(ConfigError, match="edgefn key new --force"):
        new_key(folder)
    assert own_key(folder).public == first.public
    second = new_key(folder, replace=True)
    assert second.public != first.public
    assert read_public_key(folder) == second.public


def test_processes_that_come_at_once_get_one_key(folder: Path) -> None:
    """Whoever is first makes it."""
    with ThreadPoolExecutor(8) as threads:
        found = {key.public for key in threads.map(lambda _: own_key(folder), range(8))}
    assert found == {read_public_key(folder)}


@pytest.mark.parametrize("found", ["0" * 64, "garbage"])
def test_the_public_key_follows_the_private_one(folder: Path, found: str) -> None:
    """It is not believed when the two differ, as after a crash between them, or when damaged."""
    key = own_key(folder)
    (folder / "key.pub").write_text(found)
    assert own_key(folder).public == key.public == read_public_key(folder)


def _others_read(path: Path) -> None:
    path.chmod(0o640)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def _garbage(path: Path) -> None:
    path.write_text("not hex at all")


def _large(path: Path) -> None:
    os.truncate(path, 1 << 30)


def _writable_folder(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    "harm", [_others_read, _link, _pipe, _folder, _garbage, _large, _writable_folder]
)
def test_a_key_that_may_be_anothers_is_not_used(folder: Path, harm: Callable[[Path], None]) -> None:
    """The message names the file."""
    own_key(folder)
    harm(folder / "key")
    with pytest.raises(ConfigError, match=str(folder)):
        own_key(folder)


def test_a_public_key_that_others_could_replace_is_not_used(folder: Path) -> None:
    """Reading it does no harm."""
    own_key(folder)
    (folder / "key.pub").chmod(0o644)
    assert read_public_key(folder) is not None
    (folder / "key.pub").chmod(0o666)
    with pytest.raises(ConfigError, match="mode 0666.* chmod go-w .*key.pub$"):
        read_public_key(folder)


def test_a_damaged_public_key_costs_nobody_the_private_one(folder: Path) -> None:
    """The message does not advise to give the key up."""
    own_key(folder)
    (folder / "key.pub").write_text("garbage")
    with pytest.raises(ConfigError, match="written anew") as raised:
        read_public_key(folder)
    assert "--force" not in raised.value.message


def test_keys_are_where_configuration_is() -> None:
    """A relative XDG_CONFIG_HOME is ignored, as its specification says."""
    assert config_dir({"XDG_CONFIG_HOME": "/etc/mine"}) == Path("/etc/mine/edgefn")
    for environ in ({}, {"XDG_CONFIG_HOME": "relative"}):
        assert config_dir(environ) == Path("~/.config/edgefn").expanduser()


def test_a_fingerprint_is_short_enough_to_compare() -> None:
    """And differs where the key does."""
    assert fingerprint("0" * 64) == "6668-7aad-f862-bd77"
    assert fingerprint("0" * 63 + "1") != fingerprint("0" * 64)
