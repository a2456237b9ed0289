"""A real hub, and boxes that are nothing but their certificate: what they are told, and tell."""

import hashlib
import http.client
import json
import shutil
import socket
import threading
from contextlib import contextmanager

import msgspec
import pytest

from edgefn.access.files import AccessFiles
from edgefn.access.joining import address_of, join
from edgefn.access.orders import NewKey, NewToken
from edgefn.access.tls import FLEET_NAME, fleet_context
from edgefn.desired.report import BoxReport, FunctionReport, VariantReport
from edgefn.desired.state import DesiredState, Upstream
from edgefn_runtime.manifest import decode_canonical_manifest

CODE = """
from edgefn import edge_function

@edge_function(deadline_ms=10_000)
def {name}(x: int) -> int:
    return {factor} * x
"""
HUB = {"hub": True, "listen": "127.0.0.1:0", "name": "cloud-1", "tier": "cloud"}


class JoinedBox:
    """A box of the fleet that does nothing by itself."""

    def __init__(self, hub, folder, name):
        self.name = name
        self.url = hub.admin.status().secure_url
        self.files = AccessFiles(folder)
        token = hub.admin.make_join_token(NewToken(name=name)).text
        join(self.url, token, name, self.files)

    @contextmanager
    def connected(self, certificate=True):
        context = fleet_context(self.files.fleet, self.files.certificate if certificate else None)
        connection = http.client.HTTPSConnection(*address_of(self.url), timeout=30)
        plain = socket.create_connection(address_of(self.url), 30)
        connection.sock = context.wrap_socket(plain, server_hostname=FLEET_NAME)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, method, path, body=None, *, certificate=True, **headers):
        with self.connected(certificate) as connection:
            connection.request(method, f"/fleet/v1{path}", body, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def desired(self, known=None, wait_s=0.0):
        """Returns what it is told, or None if nothing changed."""
        epoch, revision = (known.epoch, known.revision) if known else ("", 0)
        query = f"epoch={epoch}&revision={revision}&wait_s={wait_s}"
        status, _, body = self.ask("GET", f"/desired?{query}")
        assert status == 200, body
        if json.loads(body) == {"unchanged": True}:
            return None
        return msgspec.json.decode(body, type=DesiredState)

    @contextmanager
    def waiting(self, known):
        """Has it wait for news meanwhile; gives the list in which the answer is at the end."""
        replies = []
        query = f"epoch={known.epoch}&revision={known.revision}&wait_s=20"
        with self.connected() as connection:

            def wait():
                replies.append(json.loads(connection.getresponse().read()))

            connection.request("GET", f"/fleet/v1/desired?{query}")
            waits = threading.Thread(target=wait)
            waits.start()
            try:
                yield replies
            finally:
                waits.join()

    def until(self, holds, known=None):
        """Pulls, as boxes do, until a state is as it should be; returns it."""
        for _ in range(50):
            known = self.desired(known, wait_s=10.0) or known
            if holds(known):
                return known
        raise AssertionError(known)

    def report(self, name=None, **fields):
        report = BoxReport(
            box=name or self.name,
            **{"tier": "edge", "site": "s", "version": "1", "boot_id": "b", **fields},
        )
        return self.ask("POST", "/report", msgspec.json.encode(report))


@pytest.fixture(scope="module")
def hub(start_shared_box, tmp_path_factory):
    return start_shared_box(state_dir=tmp_path_factory.mktemp("hub"), **HUB)


@pytest.fixture(scope="module")
def edge(hub, tmp_path_factory):
    return JoinedBox(hub, tmp_path_factory.mktemp("edge"), "plant-1")


def names(state):
    return [one.name for one in state.functions]


def test_what_is_deployed_and_removed_at_the_hub_is_told_to_who_waits(hub, edge, make_bundle):
    """With the very manifest and signature, and each time with a higher number."""
    before = edge.desired()
    assert "first" not in names(before)
    told = []
    waits = threading.Thread(
        target=lambda: told.append(edge.until(lambda state: "first" in names(state), before))
    )
    waits.start()
    bundle = make_bundle(CODE.format(name="first", factor=2))
    hub.admin.deploy(bundle)
    waits.join()
    (with_it,) = told
    (function,) = (one for one in with_it.functions if one.name == "first")
    assert decode_canonical_manifest(bytes(function.manifest)).digest() == function.digest
    assert function.digest == bundle.manifest.digest()
    assert function.signature == bundle.signature
    assert (with_it.epoch, function.revision) == (before.epoch, 1)
    assert with_it.revision > before.revision
    assert edge.desired(with_it) is None
    hub.admin.remove("first")
    after = edge.until(lambda state: "first" not in names(state), with_it)
    assert after.revision > with_it.revision


def test_a_rollback_is_a_change_like_any_other(hub, edge, make_bundle):
    """Back to bytes that were told before, under a number that was not."""
    digests = []
    known = edge.desired()
    for factor in (2, 3):
        bundle = make_bundle(CODE.format(name="back", factor=factor))
        hub.admin.deploy(bundle)
        digests.append(bundle.manifest.digest())
    hub.admin.rollback("back")
    back = (3, digests[0])
    edge.until(lambda s: back in [(one.revision, one.digest) for one in s.functions], known)


def test_who_has_access_and_whom_to_trust_is_told(hub, edge):
    """Keys without their text; no join token, which is for the hub alone."""
    known = edge.desired()
    key = hub.admin.make_key(NewKey(name="camera"))
    hub.admin.make_join_token(NewToken())
    state = edge.until(lambda state: any(g.id == key.id for g in state.access.grants), known)
    assert {grant.can for grant in state.access.grants} == {"call"}
    assert state.access.certificate == ""
    hub.admin.revoke("camera")
    state = edge.until(lambda state: not state.access.grants, state)
    assert state.trusted is None
    (hub.state_dir / "trusted_keys").write_text("ab" * 32 + "\n")
    try:
        edge.until(lambda state: state.trusted == ("ab" * 32,), state)
    finally:
        (hub.state_dir / "trusted_keys").unlink()
    edge.until(lambda state: state.trusted is None)


def test_boxes_that_listen_are_upstreams_of_the_others(hub, edge, tmp_path, eventually):
    """Until their certificate counts no longer."""
    cloud = JoinedBox(hub, tmp_path / "c", "cloud-2")
    known = edge.desired()
    assert cloud.report(tier="cloud", address="10.0.0.9:8443")[0] == 200
    listed = Upstream(box="cloud-2", tier="cloud", address="10.0.0.9:8443")
    state = edge.until(lambda state: listed in state.upstreams, known)
    hub.admin.revoke("cloud-2")
    state = edge.until(lambda state: listed not in state.upstreams, state)
    assert state.access.revoked
    assert [one.box for one in hub.admin.fleet().boxes].count("cloud-2") == 0


def test_what_boxes_report_is_shown_to_operators(hub, edge, tmp_path):
    """Those that never reported as well; nobody speaks for another."""
    JoinedBox(hub, tmp_path / "q", "quiet")
    variant = VariantReport(name="fp32", replicas=2, leases=1)
    function = FunctionReport(name="voice", state="failed", reason="no", variants=(variant,))
    assert edge.report(functions=(function,))[0] == 200
    status, _, body = edge.report("cloud-1")
    assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden")
    fleet = hub.admin.fleet()
    shown = {one.box: one for one in fleet.boxes}
    assert fleet.boxes[0].box == fleet.hub == "cloud-1" and fleet.boxes[0].is_hub
    assert shown["plant-1"].state == "up"
    assert shown["plant-1"].report.functions == (function,)
    assert shown["quiet"].state != "up" and shown["quiet"].report is None
    assert hub.admin.status().is_hub


def test_blobs_are_sent_whole_and_in_parts(hub, edge, make_bundle):
    """From any byte, so that what was cut goes on."""
    bundle = make_bundle(CODE.format(name="sent", factor=4) + "#" * 700_000)
    hub.admin.deploy(bundle)
    file = max(bundle.manifest.files, key=lambda one: one.size)
    path, size = f"/blobs/{file.sha256}", file.size
    status, headers, whole = edge.ask("GET", path)
    assert (status, len(whole), headers["Accept-Ranges"]) == (200, size, "bytes")
    assert hashlib.sha256(whole).hexdigest() == file.sha256
    for wanted, part, told in (
        (f"bytes={size - 5}-", whole[-5:], f"bytes {size - 5}-{size - 1}/{size}"),
        ("bytes=300000-600000", whole[300000:600001], f"bytes 300000-600000/{size}"),
    ):
        status, headers, body = edge.ask("GET", path, Range=wanted)
        assert (status, headers["Content-Range"], body == part) == (206, told, True)
    assert edge.ask("HEAD", path)[1]["Content-Length"] == str(size)
    assert edge.ask("GET", path, Range=f"bytes={size}-")[0] == 416
    assert edge.ask("GET", path, Range="lines=1-2")[0] == 400
    assert edge.ask("GET", f"/blobs/{'ab' * 32}")[0] == 404
    assert edge.ask("GET", "/blobs/ab")[0] == 422


def test_two_blobs_come_over_one_connection(hub, edge, make_bundle):
    """The end of each is known."""
    bundle = make_bundle(CODE.format(name="twice", factor=5))
    hub.admin.deploy(bundle)
    with edge.connected() as connection:
        for file in bundle.manifest.files * 2:
            connection.request("GET", f"/fleet/v1/blobs/{file.sha256}")
            assert hashlib.sha256(connection.getresponse().read()).hexdigest() == file.sha256


@pytest.mark.parametrize("path", ["/desired", f"/blobs/{'ab' * 32}"])
def test_nobody_but_boxes_of_the_fleet_is_told(hub, edge, path):
    """Neither a stranger, nor an operator of everything, nor this machine."""
    assert edge.ask("GET", path, certificate=False)[0] == 401
    key = hub.admin.make_key(NewKey(name=f"boss{len(path)}", can="admin")).text
    assert edge.ask("GET", path, certificate=False, Authorization=f"Bearer {key}")[0] == 403
    assert hub.http.request("GET", f"{hub.url}/fleet/v1{path}").status == 403


def test_a_hub_goes_on_where_it_was_from_its_state_directory(start_box, make_bundle, tmp_path):
    """With the same epoch and number, serving what it served, and whom to dial.

    And it does not wait for who waits for it when it ends.
    """
    first = start_box(state_dir=tmp_path / "h", **HUB)
    port = first.admin.status().secure_url.rpartition(":")[2]
    edge = JoinedBox(first, tmp_path / "e", "plant-1")
    first.admin.deploy(make_bundle(CODE.format(name="kept", factor=3)))
    edge.report(address="10.0.0.7:8443")
    before = edge.until(lambda state: state.upstreams and state.functions)
    first.process.kill()
    first.wait()
    shutil.copytree(tmp_path / "h", tmp_path / "copy", ignore=shutil.ignore_patterns("run"))
    listen = f"127.0.0.1:{port}"
    second = start_box(state_dir=tmp_path / "copy", **{**HUB, "listen": listen})
    assert second.call("kept", x=2).json() == 6
    assert edge.desired() == before
    assert edge.desired(before) is None
    second.admin.remove("kept")
    after = edge.until(lambda state: not state.functions)
    assert (after.epoch, after.upstreams) == (before.epoch, before.upstreams)
    assert after.revision > before.revision
    with edge.waiting(after) as replies:
        assert second.end() == 0
    assert replies[0]["error"]["code"] == "unavailable"
