"""`edgefn key`, without a box."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefn.bundle.keys import SigningKey, fingerprint
from edgefn.cli.program import app
from edgefn.errors import ConfigError

OTHER = SigningKey(b"\3" * 32).public


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("EDGEFN_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "config" / "edgefn"


def key(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["key", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_own_key_is_made_once_and_shown(config: Path) -> None:
    """Its private half never is."""
    shown = json.loads(key("--json"))
    assert key().strip() == shown["public"]
    assert shown["fingerprint"] == fingerprint(shown["public"])
    private = (config / "key").read_text().strip()
    assert private not in key() + key("--json")
    assert stat.S_IMODE((config / "key").stat().st_mode) == 0o600


def test_a_new_key_needs_force_where_there_is_one() -> None:
    """Boxes that trust the old one would refuse what the new one signs."""
    first = key("new").strip()
    with pytest.raises(ConfigError, match="--force"):
        key("new")
    assert key().strip() == first
    assert key("new", "--force").strip() != first


def test_the_keys_that_a_box_trusts(tmp_path: Path) -> None:
    """Its own user's until it is told otherwise; then those, even if they are none."""
    assert json.loads(key("trusted", "--json")) == {"trusted": None}
    key("trust", OTHER)
    key("trust", OTHER)
    assert json.loads(key("trusted", "--json")) == {"trusted": [OTHER]}
    assert OTHER in key("trusted")
    assert (tmp_path / "state" / "trusted_keys").read_text() == f"{OTHER}\n"
    key("distrust", OTHER)
    assert json.loads(key("trusted", "--json")) == {"trusted": []}
    with pytest.raises(ConfigError, match="does not trust"):
        key("distrust", OTHER)


def test_who_starts_a_list_is_told_that_it_leaves_them_out(tmp_path: Path) -> None:
    """Once, and not if it is their own key."""
    own = key().strip()
    for public, is_told in ((OTHER, True), (OTHER, False), (own, False)):
        result = CliRunner().invoke(app, ["key", "trust", public], catch_exceptions=False)
        assert (f"edgefn key trust {own}" in result.stderr.replace("\n", " ")) == is_told
    (tmp_path / "state" / "trusted_keys").unlink()
    result = CliRunner().invoke(app, ["key", "trust", own], catch_exceptions=False)
    assert "takes no longer" not in result.stderr


@pytest.mark.parametrize("text", ["abc", OTHER.upper(), OTHER + "0", ""])
def test_what_is_no_public_key_is_not_trusted(tmp_path: Path, text: str) -> None:
    """Nothing is written."""
    result = CliRunner().invoke(app, ["key", "trust", text])
    assert result.exit_code == 2
    assert "is not a public key" in result.stderr
    assert not (tmp_path / "state").exists()
