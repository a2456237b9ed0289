"""Settings: precedence, defaults, and what is refused."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from edgefn.config import PREFIX, Settings, resolve
from edgefn.errors import ConfigError


def test_defaults_are_a_local_box_on_port_8080() -> None:
    """With an empty environment everything has a value."""
    settings = resolve({})
    assert settings.url == "http://127.0.0.1:8080"
    assert (settings.host, settings.port, settings.gateways) == ("127.0.0.1", 8080, 1)
    assert (settings.tier, settings.insecure) == ("", False)
    assert settings.state_dir == Path("~/.local/state/edgefn").expanduser()
    assert settings.name


def test_the_command_line_wins_over_the_environment_and_that_over_the_default() -> None:
    """One value from each source; None on the command line counts as not given."""
    settings = resolve({"EDGEFN_PORT": "9000", "EDGEFN_TIER": "cloud"}, port=9001, tier=None)
    assert (settings.port, settings.tier, settings.gateways) == (9001, "cloud", 1)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("/var/lib", Path("/var/lib/edgefn")),
        ("relative", Path("~/.local/state/edgefn").expanduser()),
    ],
)
def test_the_state_directory_follows_xdg(base: str, expected: Path) -> None:
    """XDG_STATE_HOME is honoured where it is absolute, as its specification says."""
    assert resolve({"XDG_STATE_HOME": base}).state_dir == expected


def test_an_unknown_variable_is_refused_with_the_nearest_known_one() -> None:
    """A misspelt variable does not pass silently."""
    with pytest.raises(ConfigError, match="EDGEFN_GATEWAY; did you mean EDGEFN_GATEWAYS?"):
        resolve({"EDGEFN_GATEWAY": "2"})


def test_other_programs_variables_are_none_of_our_business() -> None:
    """Only the prefix is ours."""
    assert resolve({"EDGE_URL": "x", "PATH": "/bin"}) == resolve({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "127.0.0.1:8080"),
        ("url", "ftp://box"),
        ("url", "http://box:99999"),
        ("url", "http://box/?q=1"),
        ("port", "-1"),
        ("port", "70000"),
        ("port", "80.0"),
        ("port", "٣"),
        ("gateways", "0"),
        ("gateways", "two"),
        ("host", ""),
        ("host", "a b"),
        ("tier", "über tier"),
        ("name", "-x"),
        ("insecure", "maybe"),
        ("state_dir", ""),
    ],
)
def test_a_value_that_does_not_fit_names_its_source(name: str, value: str) -> None:
    """The same value is refused from both sources, and the message says which one it was."""
    variable, option = PREFIX + name.upper(), f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match="^" + re.escape(f"{variable}={value}")):
        resolve({variable: value})
    with pytest.raises(ConfigError, match="^" + re.escape(f"{option}={value}")):
        resolve({}, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("url", "https://box.local/", "https://box.local"),
        ("url", "http://[::1]:8080", "http://[::1]:8080"),
        ("port", 0, 0),
        ("insecure", True, True),
        ("insecure", "off", False),
        ("state_dir", "/srv/box", Path("/srv/box")),
    ],
)
def test_values_are_normalised(name: str, value: Any, expected: Any) -> None:
    """What is given in another spelling comes out in one."""
    assert getattr(resolve({}, **{name: value}), name) == expected


def test_every_field_can_be_set_from_the_environment() -> None:
    """No field of the settings is out of reach of a container's environment."""
    values = {
        "url": "http://b:1",
        "state_dir": "/s",
        "host": "::1",
        "port": "1",
        "gateways": "2",
        "tier": "t",
        "name": "n",
        "insecure": "1",
        "site": "s",
        "listen": "[::]:8443",
        "key": "efk_x",
        "ca": "/ca.pem",
        "join_token": "efj_x",
    }
    assert set(values) == {field.name for field in fields(Settings)}
    settings = resolve({PREFIX + name.upper(): value for name, value in values.items()})
    assert {name: str(getattr(settings, name)) for name in values} == {**values, "insecure": "True"}
