"""Whether a box can be part of a Ray cluster, and on which address."""

from pathlib import Path
from typing import Any

import pytest

from edgefn.box.config import BoxConfig
from edgefn.box.ray_host import check_ray, ray_host
from edgefn.errors import ConfigError


def config(**given: Any) -> BoxConfig:
    return BoxConfig(state_dir=Path("/nowhere"), **given)


def test_ray_is_for_a_fleet() -> None:
    """A box alone says what is missing; one without Ray needs nothing."""
    check_ray(config())
    with pytest.raises(ConfigError, match="--hub, or --join"):
        check_ray(config(ray=True))
    with pytest.raises(ConfigError, match="add --ray"):
        check_ray(config(ray_host="10.0.0.1"))


def test_without_ray_installed_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """That says how it is installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        check_ray(config(ray=True, hub=True))


def test_ray_without_a_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything of the box starts."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(ConfigError, match="RAY_AUTH_MODE=disabled"):
        check_ray(config(ray=True, hub=True), {"RAY_AUTH_MODE": "disabled"})


@pytest.mark.parametrize("named", ["0.0.0.0", "::", "224.0.0.1", "a-host", "10.0.0.1:6379"])
def test_ray_listens_on_one_address(named: str) -> None:
    """Never on all of them, and on none that has to be looked up."""
    with pytest.raises(ConfigError, match="--ray-host"):
        ray_host(config(ray=True, hub=True, ray_host=named))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ray_host": "10.0.0.1", "listen": "10.0.0.2:8443"}, "10.0.0.1"),
        ({"listen": "10.0.0.2:8443"}, "10.0.0.2"),
        ({"listen": "[::1]:8443"}, "::1"),
    ],
)
def test_what_was_named_comes_first(given: dict[str, str], expected: str) -> None:
    """Then the address of the port with TLS."""
    assert ray_host(config(ray=True, hub=True, **given)) == expected


@pytest.mark.parametrize("listen", ["0.0.0.0:8443", "", "a-host:8443"])
def test_else_it_is_the_address_towards_the_others(
    listen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the hub, if there is one; without a way to them it has to be named."""
    monkeypatch.setattr("edgefn.box.ray_host._address_towards", lambda host: "10.0.0.3")
    assert ray_host(config(ray=True, hub=True, listen=listen)) == "10.0.0.3"
    monkeypatch.setattr("edgefn.box.ray_host._address_towards", lambda host: "")
    with pytest.raises(ConfigError, match="--ray-host"):
        ray_host(config(ray=True, hub=True, listen=listen))
