"""Keys, tokens and logins from the command line, with a real hub."""

import json
import os

import pytest
from typer.testing import CliRunner

from edgefn.access.files import AccessFiles
from edgefn.access.logins import Logins
from edgefn.box.trust import TrustList
from edgefn.bundle.keys import config_dir, own_key
from edgefn.cli.joining import join_fleet
from edgefn.cli.program import app
from edgefn.client.events import PutEvent
from edgefn.errors import ConfigError, EdgefnError


@pytest.fixture(scope="module")
def hub(start_shared_box, tmp_path_factory):
    return start_shared_box(
        state_dir=tmp_path_factory.mktemp("hub"), hub=True, listen="127.0.0.1:0", name="cloud-1"
    )


@pytest.fixture
def run(hub, tmp_path, monkeypatch):
    """Runs a command, and returns what it printed; `url` is that of the hub's port with TLS."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("EDGEFN_URL", hub.url)

    def call(*arguments, code=0, **environ):
        done = CliRunner().invoke(app, arguments, env=environ)
        if code is None:
            assert isinstance(done.exception, EdgefnError), done.output
            return done.exception.message
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    call.url = hub.admin.status().secure_url
    return call


def test_a_key_is_made_logged_in_with_listed_and_revoked(run):
    """Whoever logs in needs neither variables nor files after it."""
    made = json.loads(run("key", "create", "ci", "--can", "admin", "--expires", "90d", "--json"))
    run("login", run.url, "--fingerprint", made["fingerprint"], EDGEFN_KEY=made["text"])
    assert Logins.of_user().find(run.url).key == made["text"]
    assert json.loads(run("status", "--url", run.url, "--json"))["box"] == "cloud-1"
    assert made["text"] not in run("key", "ls", "--url", run.url)
    (listed,) = json.loads(run("key", "ls", "--url", run.url, "--json"))["keys"]
    assert (listed["name"], listed["can"]) == ("ci", "admin")
    assert 89 < (listed["expires_s"] - listed["created_s"]) / 86400 < 91
    run("key", "revoke", "ci", "--url", run.url)
    assert "not known here" in run("status", "--url", run.url, code=None)


def test_events_are_seen_and_dropped_after_a_login(run, hub):
    """From elsewhere, by whom can operate."""
    to = "webhook:http://127.0.0.1:1/events"
    made = json.loads(run("key", "create", "watcher", "--can", "operate", "--json"))
    run("login", run.url, "--fingerprint", made["fingerprint"], EDGEFN_KEY=made["text"])
    hub.admin.put_events([PutEvent(to=to, data={"n": 1})])
    assert '{"n":1}' in run("events", "tail", "--url", run.url)
    (waiting,) = json.loads(run("events", "ls", "--url", run.url, "--json"))["destinations"]
    assert (waiting["to"], waiting["waiting"]) == (to, 1)
    dropped = json.loads(run("events", "drop", to, "--url", run.url, "--json"))
    assert dropped == {"dropped": 1}


def test_a_login_with_another_fingerprint_keeps_nothing(run):
    """Whoever answers is not whom the operator meant."""
    key = json.loads(run("key", "create", "someone", "--json"))["text"]
    told = run("login", run.url, "--fingerprint", "ab" * 32, code=None, EDGEFN_KEY=key)
    assert "is not the hub that is meant" in told
    assert Logins.of_user().find(run.url) is None


def test_a_box_joins_once_and_again_only_with_a_new_token(run, tmp_path):
    """A unit file may go on naming the token that was used."""
    state_dir = tmp_path / "edge"
    token = run("key", "join").strip()
    join_fleet(run.url, token, "plant-1", state_dir)
    first = AccessFiles(state_dir).certificate.read_text()
    for again in (token, ""):
        join_fleet(run.url, again, "plant-1", state_dir)
    assert AccessFiles(state_dir).certificate.read_text() == first
    named = run("key", "join", "plant-1").strip()
    join_fleet(run.url, named, "plant-1", state_dir)
    assert AccessFiles(state_dir).certificate.read_text() != first
    with pytest.raises(ConfigError, match="is in the fleet of"):
        join_fleet("https://other:8443", "", "plant-1", state_dir)


def test_without_a_token_a_box_that_nobody_watches_does_not_wait_for_one(run, tmp_path):
    """It says where tokens come from."""
    told = run("up", "--join", run.url, "--state-dir", str(tmp_path / "e"), code=None)
    assert "edgefn key join" in told
    told = run("up", "--join", "http://hub:8443", "--state-dir", str(tmp_path / "e"), code=None)
    assert "write it like https://hub:8443" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "ci", "--can", "everything"), "would refuse that"),
        (("create", "ci", "--can", "deploy", "--functions", "voice"), "only call"),
        (("revoke", "nobody"), "there is no key"),
        (("join", "cloud-1"), "name of the hub"),
    ],
)
def test_orders_that_make_no_sense_are_refused(run, arguments, told):
    """In one sentence."""
    assert told in run("key", *arguments, code=None)


def test_a_lifetime_has_a_unit(run):
    """90 what?"""
    run("key", "create", "ci2", "--expires", "90", code=2)


def test_functions_are_deployed_to_a_hub_whose_fleet_is_shown(run, hub, tmp_path):
    """From elsewhere; a box that does not run is named as such."""
    made = json.loads(run("key", "create", "builder", "--can", "deploy", "--json"))
    run("login", run.url, "--fingerprint", made["fingerprint"], EDGEFN_KEY=made["text"])
    (tmp_path / "function.py").write_text(
        "from edgefn import edge_function\n\n"
        "@edge_function\ndef ping(x: int) -> int:\n    return x\n"
    )
    TrustList(hub.state_dir).add(own_key(config_dir(os.environ)).public)
    run("deploy", str(tmp_path), "--to", run.url)
    said = run("deploy", str(tmp_path), "--to", run.url, "--url", hub.url, code=None)
    assert "give one of them" in said
    join_fleet(run.url, run("key", "join").strip(), "plant-9", tmp_path / "edge")
    shown = run("status", "--url", run.url)
    assert "ping" in shown and "cloud-1" in shown
    fleet = json.loads(run("status", "--url", run.url, "--json"))["fleet"]
    assert [one["name"] for one in fleet["functions"]] == ["ping"]
    states = {one["box"]: one["state"] for one in fleet["boxes"]}
    assert states["cloud-1"] == "up" and states.get("plant-9") != "up"


def test_a_box_that_is_down_leaves_its_fleet(run, hub, tmp_path, start_box):
    """What its hub brought stays and is its own; it may join again."""
    folder = tmp_path / "plant-9"
    files = AccessFiles(folder)
    for _ in range(2):
        token = json.loads(run("key", "join", "plant-9", "--json"))["text"]
        join_fleet(run.url, token, "plant-9", folder)
        box = start_box(state_dir=folder, name="plant-9", tier="edge")
        assert "another box" in run("leave", "--state-dir", str(folder), code=None)
        box.end()
        (folder / "following.json").touch(0o600)
        assert run.url in run("leave", "--state-dir", str(folder))
        assert (files.hub(), list(folder.glob("following.json"))) == ("", [])
    assert "joined no fleet" in run("leave", "--state-dir", str(folder), code=None)
    alone = start_box(state_dir=folder, name="plant-9").admin
    for function in alone.functions():
        alone.remove(function.name)
