"""A real hub: boxes join it, operators and callers show keys, and attackers get nowhere."""

import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from functools import partial

import pytest
import urllib3

from edgefn.access import joining
from edgefn.access.authority import Authority
from edgefn.access.certificates import make_request, new_private_key, read_pair
from edgefn.access.files import AccessFiles
from edgefn.access.identity import Identity, serial_text
from edgefn.access.joining import JoinFailed, fetch_authority, join, renew
from edgefn.access.orders import NewKey, NewToken
from edgefn.access.secret import new_token
from edgefn.bundle.build import build
from edgefn.client import AdminClient, AsyncClient, CallFailed, Client, Unreachable
from edgefn.client.events import PutEvent
from edgefn.errors import ConfigError

CODE = """
from edgefn import edge_function

@edge_function(deadline_ms=10_000)
def doubled(x: int) -> int:
    return 2 * x
"""
ALERTING = """
from edgefn import Alert, edge_function

@edge_function(deadline_ms=10_000, on_result=Alert(when="result > 2", to="file:alerts.jsonl"))
def pressed(x: int) -> int:
    return x
"""
HUB = {"hub": True, "listen": "127.0.0.1:0", "name": "cloud-1", "tier": "cloud"}


class Fleet:
    """A hub, and what it takes to reach it from elsewhere."""

    def __init__(self, box):
        self.box = box
        self.url = box.admin.status().secure_url
        self.ca = AccessFiles(box.state_dir).fleet

    def key(self, name, **order):
        return self.box.admin.make_key(NewKey(name=name, **order)).text

    def token(self, **order):
        return self.box.admin.make_join_token(NewToken(**order)).text

    def joined(self, folder, name, **order):
        files = AccessFiles(folder)
        join(self.url, self.token(**order), name, files)
        return files


@pytest.fixture(scope="module")
def hub(start_shared_box, tmp_path_factory):
    return Fleet(start_shared_box(state_dir=tmp_path_factory.mktemp("hub"), **HUB))


def test_a_box_joins_links_and_is_linked_again_after_both_restarted(
    start_box, tmp_path, eventually
):
    """With what is in their state directories, and no token."""
    cloud = start_box(state_dir=tmp_path / "c", **HUB)
    files = Fleet(cloud).joined(tmp_path / "e", "plant-1")
    port = int(Fleet(cloud).url.rpartition(":")[2])
    edge = start_box(state_dir=tmp_path / "e", name="plant-1")
    eventually(lambda: "linked with plant-1" in cloud.errors)
    before = cloud.admin.access()
    assert cloud.end() == 0
    again = start_box(state_dir=tmp_path / "c", **{**HUB, "listen": f"127.0.0.1:{port}"})
    eventually(lambda: "linked with plant-1" in again.errors, within_s=20.0)
    assert again.admin.access() == before
    assert edge.end() == 0
    assert files.hub().startswith("https://")


def test_a_box_under_another_name_than_it_joined_with_does_not_start(hub, start_box, tmp_path):
    """No peer would believe it."""
    hub.joined(tmp_path / "e", "plant-x")
    box = start_box(state_dir=tmp_path / "e", name="other", ready=False)
    assert box.wait() == 2
    assert "--name plant-x" in box.errors


def test_a_token_is_used_once_however_many_come_at_once(hub, tmp_path):
    """One of them has a certificate then."""
    token, outcomes = hub.token(), []

    def attempt(number):
        try:
            join(hub.url, token, f"race-{number}", AccessFiles(tmp_path / str(number)))
            outcomes.append("joined")
        except JoinFailed as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("joined") == 1
    assert sum("was used" in outcome for outcome in outcomes) == 4


def test_a_token_for_another_hub_is_not_shown_to_this_one(hub, tmp_path):
    """The fingerprint in it is of another authority."""
    token, _ = new_token(Authority.make(_now()).fingerprint)
    before = hub.box.errors.count("POST /fleet/v1/join")
    with pytest.raises(JoinFailed, match="is not the hub that is meant"):
        join(hub.url, token, "plant-7", AccessFiles(tmp_path / "e"))
    assert hub.box.errors.count("POST /fleet/v1/join") == before
    assert not (tmp_path / "e").exists()


def test_a_box_of_the_fleet_cannot_take_tokens_from_those_that_join(hub, tmp_path, start_box):
    """It hands out the right authority, and is not its hub: the token is not shown to it."""
    hub.joined(tmp_path / "m", "middle", tls_names=("hub.example",))
    middle = start_box(state_dir=tmp_path / "m", name="middle", listen="127.0.0.1:0")
    url = middle.admin.status().secure_url
    token = hub.token()
    fingerprint = token.rpartition("_")[2]
    with pytest.raises(JoinFailed, match="--hub"):
        fetch_authority(url, fingerprint)
    with pytest.raises(JoinFailed, match="is box 'middle', not the hub"):
        joining._ask_hub(
            url,
            joining.fleet_context(hub.ca),
            "/fleet/v1/join",
            joining.IssueRequest(request=make_request(new_private_key()), name="x"),
            {"Authorization": f"Bearer {token}"},
        )


def test_a_key_deploys_calls_and_operates_as_it_may_and_no_longer_when_revoked(hub, tmp_path):
    """From elsewhere, over TLS, with all clients."""
    (tmp_path / "function.py").write_text(CODE)
    (bundle,) = build(str(tmp_path))
    deploy, call = hub.key("ci", can="deploy"), hub.key("camera", functions=("doubled",))
    with AdminClient(hub.url, key=deploy, ca=hub.ca) as admin:
        admin.deploy(bundle)
        with pytest.raises(CallFailed, match="needs 'admin'"):
            admin.make_key(NewKey(name="more", can="admin"))
    with Client(hub.url, key=call, ca=hub.ca) as client:
        assert client.call("doubled", x=2).value == 4
        with pytest.raises(CallFailed, match="no access to function"):
            client.call("other", x=2)
        hub.box.admin.revoke("camera")
        with pytest.raises(CallFailed, match="not known here"):
            client.call("doubled", x=2)
    with (
        AdminClient(hub.url, key=hub.key("c2"), ca=hub.ca) as admin,
        pytest.raises(CallFailed, match="needs 'operate'"),
    ):
        admin.status()


def test_a_call_with_a_key_raises_an_alert_and_only_operators_put_events(hub, tmp_path, eventually):
    """Who calls cannot have the box send what they like to wherever they like."""
    (tmp_path / "function.py").write_text(ALERTING)
    (bundle,) = build(str(tmp_path))
    hub.box.admin.deploy(bundle)
    call, operate = hub.key("sensor"), hub.key("line", can="operate")
    event = PutEvent(to="file:put.jsonl", source="camera", data={"frame": 12})
    with Client(hub.url, key=call, ca=hub.ca) as client:
        client.call("pressed", source="press-3", x=3)
    with AdminClient(hub.url, key=operate, ca=hub.ca) as admin:
        eventually(lambda: [one.source for one in admin.events().raised] == ["press-3"])
        (made,) = admin.put_events([event])
        assert made in [one.id for one in admin.events_tail()]
    with AdminClient(hub.url, key=call, ca=hub.ca) as admin:
        put, drop = partial(admin.put_events, [event]), partial(admin.drop_events, event.to)
        for refused in (admin.events, admin.events_tail, put, drop):
            with pytest.raises(CallFailed, match="needs 'operate'"):
                refused()


async def test_a_device_calls_with_its_certificate(hub, tmp_path):
    """And is out when it is revoked."""
    files = hub.joined(tmp_path / "d", "cam-1", joins="device")
    async with AsyncClient(hub.url, certificate=files.certificate, ca=hub.ca) as client:
        with pytest.raises(Exception, match="no function 'none'"):
            await client.call("none", x=1)
        hub.box.admin.revoke("cam-1")
        with pytest.raises(CallFailed, match="was revoked"):
            await client.call("none", x=1)


def test_a_client_does_not_speak_with_a_box_of_another_authority(hub, tmp_path):
    """Nor with one that the system does not know; the key never leaves."""
    key = hub.key("shy")
    other = tmp_path / "other.pem"
    other.write_text(Authority.open_or_make(tmp_path / "a.pem", _now()).pem)
    before = hub.box.errors
    for ca in (other, None):
        with Client(hub.url, key=key, ca=ca) as client, pytest.raises(Unreachable):
            client.call("doubled", deadline_ms=2000, x=1)
    assert hub.box.errors == before


def _now():
    return datetime.now(UTC).replace(microsecond=0)


@pytest.mark.parametrize("url", ["http://10.0.0.1:8080", "http://hub:8443"])
def test_a_client_does_not_send_a_key_in_plain_text(url):
    """However it was given."""
    key = "efk_" + "a" * 8 + "_" + "a" * 52
    for kind in (Client, AsyncClient, AdminClient):
        with pytest.raises(ConfigError, match="use https"):
            kind(url, key=key)
    with pytest.raises(ConfigError, match="keys begin with efk_"):
        Client("https://hub:8443", key="secret")


def test_a_box_renews_its_certificate_and_the_old_one_still_counts(hub, tmp_path):
    """Until it ends; both are revoked with the box."""
    files = hub.joined(tmp_path / "e", "plant-9")
    first = files.certificate.read_text()
    renew(hub.url, files)
    second = files.certificate.read_text()
    serials = [serial_text(read_pair(pem)[1].serial_number) for pem in (first, second)]
    assert len(set(serials)) == 2
    files.certificate.write_text(first)
    renew(hub.url, files)
    hub.box.admin.revoke("plant-9")
    with pytest.raises(JoinFailed, match="was revoked"):
        renew(hub.url, files)


def test_what_is_secret_can_be_read_by_its_owner_alone(hub, tmp_path):
    """Private keys, keys and tokens; and no text of them is on the disk of the hub."""
    text = hub.key("quiet")
    hub.joined(tmp_path / "e", "plant-8")
    for folder in (hub.box.state_dir / "access", tmp_path / "e" / "access"):
        assert folder.stat().st_mode & 0o777 == 0o700
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
            assert text.rpartition("_")[2].encode() not in path.read_bytes()
    assert text.rpartition("_")[2] not in hub.box.errors


def test_callers_may_see_a_certificate_of_the_operators_own(start_box, tmp_path):
    """While the fleet goes on with its own on the same port."""
    public = Authority.make(_now())
    pair, _ = public.issue_pair(
        Identity(kind="box", name="www"), now=_now(), tls_names=("models.example", "localhost")
    )
    (tmp_path / "own.pem").write_text(pair)
    (tmp_path / "public.pem").write_text(public.pem)
    own = str(tmp_path / "own.pem")
    box = start_box(state_dir=tmp_path / "c", tls_cert=own, tls_key=own, **HUB)
    url = box.admin.status().secure_url.replace("127.0.0.1", "localhost")
    fleet = Fleet(box)
    fleet.url = url
    with AdminClient(url, key=fleet.key("op", can="operate"), ca=tmp_path / "public.pem") as admin:
        assert admin.status().box == "cloud-1"
    assert fleet.joined(tmp_path / "e", "plant-1").hub() == url


def test_handshakes_that_are_not_finished_do_not_keep_others_out(hub):
    """They are dropped beyond a number, and end after some seconds."""
    host, _, port = hub.url.removeprefix("https://").rpartition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(100)]
    try:
        context = ssl.create_default_context(cafile=str(hub.ca))
        pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=10.0)
        assert json.loads(pool.request("GET", f"{hub.url}/healthz").data) == {"status": "ok"}
        pool.clear()
    finally:
        for sock in idle:
            sock.close()
