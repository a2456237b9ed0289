"""What a box's configuration means for who reaches it."""

from pathlib import Path
from typing import Any

import pytest

from edgefn.access.files import AccessFiles
from edgefn.box.config import BoxConfig
from edgefn.box.fleet_config import check, has_authority, reached_as, tls_files, upstreams
from edgefn.box.listen import Listeners, check_peers
from edgefn.errors import ConfigError


def config(folder: Path, **changes: Any) -> BoxConfig:
    return BoxConfig(state_dir=folder, **changes)


def joined(folder: Path) -> AccessFiles:
    files = AccessFiles(folder)
    files.joined("https://[fd00::1]:8443", "token", "authority", "certificate")
    return files


def test_a_box_that_was_told_nothing_has_no_certificate_and_no_port_for_others(
    tmp_path: Path,
) -> None:
    """It is as it was before there were fleets."""
    told = config(tmp_path)
    check(told)
    assert not has_authority(told, AccessFiles(tmp_path))
    assert tls_files(told).certificate == ""
    assert upstreams(told) == ()
    assert Listeners.bind_secure(told.listen, 1).sockets == ()


@pytest.mark.parametrize(
    ("changes", "signs"),
    [
        ({"hub": True}, True),
        ({"listen": "0.0.0.0:8443"}, True),
        ({"listen": "0.0.0.0:8443", "tls_cert": Path("c"), "tls_key": Path("k")}, False),
        ({"listen": "0.0.0.0:1", "hub": True, "tls_cert": Path("c"), "tls_key": Path("k")}, True),
    ],
)
def test_a_hub_and_a_lone_box_that_others_reach_sign_their_certificate(
    tmp_path: Path, changes: dict[str, Any], signs: bool
) -> None:
    """Unless an operator brings one."""
    told = config(tmp_path, **changes)
    check(told)
    assert has_authority(told, AccessFiles(tmp_path)) == signs
    assert bool(tls_files(told).certificate) == signs


def test_a_box_that_joined_dials_its_hub_and_signs_nothing(tmp_path: Path) -> None:
    """Also after a restart without `--join`: what it was told, it keeps doing."""
    files = joined(tmp_path)
    told = config(tmp_path, listen="0.0.0.0:8443")
    check(told)
    assert upstreams(told) == ("[fd00::1]:8443",)
    assert not has_authority(told, files)
    assert tls_files(told).certificate == str(files.certificate)
    assert (files.hub(), files.token()) == ("https://[fd00::1]:8443", "token")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tls_cert": Path("a"), "listen": "127.0.0.1:0"}, "belong together"),
        ({"tls_key": Path("a"), "listen": "127.0.0.1:0"}, "belong together"),
        ({"tls_cert": Path("a"), "tls_key": Path("b")}, "--listen"),
        ({"hub": True}, "a fleet has one hub"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """With what to do."""
    joined(tmp_path)
    with pytest.raises(ConfigError, match=reason):
        check(config(tmp_path, **changes))


def test_an_address_that_others_reach_needs_tls_and_keys_or_insecure() -> None:
    """The message names both."""
    with pytest.raises(ConfigError, match=r"--listen 0\.0\.0\.0:8443.*--insecure"):
        Listeners.bind("0.0.0.0", 0, 1, insecure=False)
    with pytest.raises(ConfigError, match="--hub and --join"):
        Listeners.bind_for_peers("0.0.0.0", 0, 1)
    with pytest.raises(ConfigError, match="--join"):
        check_peers(("10.0.0.1:9000",))
    with pytest.raises(ConfigError, match="does not resolve"):
        Listeners.bind_secure("no.such.host.invalid:1", 1)


def test_the_names_of_a_hub_are_its_own_and_those_it_was_given(tmp_path: Path) -> None:
    """No certificate of another box may have one of them."""
    names = reached_as(
        config(tmp_path, name="cloud-1", listen="[::1]:8443", tls_names=("models.example",))
    )
    assert {"cloud-1", "localhost", "127.0.0.1", "::1", "models.example"} <= set(names)
    assert "0.0.0.0" not in reached_as(config(tmp_path, listen="0.0.0.0:8443"))


def test_a_membership_that_others_could_change_is_refused(tmp_path: Path) -> None:
    """It says whom the box dials."""
    joined(tmp_path)
    (tmp_path / "access" / "hub").chmod(0o646)
    with pytest.raises(ConfigError, match="chmod"):
        check(config(tmp_path))
