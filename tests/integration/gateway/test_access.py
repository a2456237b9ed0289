"""Who gets in at a gateway: each route, with each kind of access, on the port with TLS."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgefn.access.authority import Authority
from edgefn.access.identity import Identity
from edgefn.access.needs import ALLOWED, Kind, Need
from edgefn.access.secret import new_key, new_token
from edgefn.access.table import AccessTable, Grant
from edgefn.access.tls import PEER_PROTOCOL
from edgefn.gateway.fleet_tls import TlsFiles
from edgefn.gateway.routes import ROUTES, Route
from edgefn_runtime.lifecycle import pack

KINDS: tuple[Kind, ...] = ("call", "operate", "deploy", "admin", "join")
FINGERPRINT = "ab" * 32


class Fleet:
    """An authority, and files of its certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.authority = Authority.make(self.now)
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.authority.pem)

    def certificate(self, name: str, *tls_names: str, **holder: Any) -> tuple[Path, Identity]:
        identity = Identity(**{"kind": "box", "name": name, **holder})
        pair, issued = self.authority.issue_pair(identity, now=self.now, tls_names=tls_names)
        path = self.folder / f"{name}.pem"
        path.write_text(pair)
        return path, issued


class Door:
    """The port with TLS of a gateway."""

    def __init__(self, site: Any, fleet: Fleet, port: int) -> None:
        self.site, self.fleet, self.port = site, fleet, port
        self.texts: dict[str, str] = {}
        self.grants: list[Grant] = []
        for kind in KINDS:
            self.texts[kind] = self.grant(kind, can=kind)
        self.texts["expired"] = self.grant("expired", can="admin", expires_s=1.0)
        self.texts["narrow"] = self.grant("narrow", can="call", functions=("echo",))
        self.texts["unknown"] = new_key()[0]
        site.route_usual()
        self.publish()

    def grant(self, name: str, **fields: Any) -> str:
        text, secret = new_token(FINGERPRINT) if fields["can"] == "join" else new_key()
        self.grants.append(Grant(id=secret.id, name=name, sha256=secret.sha256, **fields))
        return text

    def publish(self, *revoked: str) -> None:
        table = AccessTable(grants=tuple(self.grants), revoked=revoked, certificate="1")
        self.site.loop.call_soon_threadsafe(self.site.box.write, pack(table))
        self.site.request("GET", "/metrics")  # its answer comes behind on the same socket

    def context(self, certificate: Path | None = None, **options: Any) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(options.get("ca", self.fleet.ca)))
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def ask(
        self,
        method: str,
        path: str,
        kind: str = "",
        *,
        certificate: Path | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=10, context=self.context(certificate)
        )
        if kind:
            headers["Authorization"] = f"Bearer {self.texts[kind]}"
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def door(make_site: Any, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    pair, _ = fleet.certificate("hub", "localhost", is_hub=True)
    site = make_site(
        tmp_path_factory.mktemp("door"),
        secure_fd=listener.fileno(),
        tls=TlsFiles(certificate=str(pair), fleet=str(fleet.ca)),
    )
    port = listener.getsockname()[1]
    listener.close()
    yield Door(site, fleet, port)


def filled(route: Route) -> str:
    path = route.path.replace("{name}", "echo").replace("{version}", "1")
    return path.replace("{id}", "k").replace("{sha256}", "ab" * 32)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_opens_to_whom_its_need_says_and_to_nobody_else(
    door: Door, route: Route
) -> None:
    """No key, a wrong, an expired and each kind of key: over all of the table."""
    assert isinstance(route.need, Need)
    body = b"{}" if route.method in ("POST", "PUT") else None

    def opens(kind: str) -> bool:
        headers = {"Content-Type": "application/json"}
        status, said = door.ask(route.method, filled(route), kind, body=body, **headers)
        if status in (401, 403, 429):
            error = json.loads(said)["error"]
            assert isinstance(error, str) or error["code"] in (
                "unauthorized", "forbidden", "too_many_failures",
            )  # fmt: skip
            return False
        assert status != 404, said
        return True

    assert opens("") == (route.need is Need.NOTHING)
    for kind in KINDS:
        assert opens(kind) == (route.need in ALLOWED[kind]), kind
    for kind in ("unknown", "expired"):
        assert not opens(kind)


def test_a_key_for_one_function_neither_calls_nor_sees_another(door: Door) -> None:
    """In no list, no document, and no difference between one that exists and one that does not."""
    assert door.ask("POST", "/v1/functions/echo", "narrow", body=b"{}")[0] != 403
    for path in ("/v1/functions/other", "/v2/models/other", "/v1/functions/no-such"):
        assert door.ask("GET", path, "narrow")[0] == 403
    door.grants[-1] = door.grants[-1].__class__(
        **{**_fields(door.grants[-1]), "functions": ("other",)}
    )
    door.publish()
    assert json.loads(door.ask("GET", "/v1/functions", "narrow")[1]) == {"functions": []}
    document = json.loads(door.ask("GET", "/openapi.json", "narrow")[1])
    assert "/v1/functions/echo" not in document["paths"]


def _fields(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in grant.__struct_fields__}


def test_a_revoked_key_counts_no_longer_on_a_connection_that_is_open(door: Door) -> None:
    """With the next request."""
    door.texts["gone"] = door.grant("gone", can="call")
    door.publish()
    connection = http.client.HTTPSConnection("localhost", door.port, context=door.context())
    headers = {"Authorization": f"Bearer {door.texts['gone']}"}
    try:
        for wanted in ((200,), (401, 429)):
            connection.request("GET", "/v1/functions", None, headers)
            reply = connection.getresponse()
            reply.read()
            assert reply.status in wanted
            door.grants = [grant for grant in door.grants if grant.name != "gone"]
            door.publish()
    finally:
        connection.close()


@pytest.mark.parametrize("where", ["?key={}", "?a=1&token={}", "/{}", "?{}"])
def test_a_key_in_a_url_is_refused_wherever_it_stands(door: Door, where: str) -> None:
    """It would end in logs; also on the port without TLS, and also with a good key beside it."""
    path = "/v1/functions" + where.format(door.texts["admin"])
    status, said = door.ask("GET", path, "admin")
    assert (status, json.loads(said)["error"]["code"]) == (400, "malformed_request")
    assert door.texts["admin"].encode() not in said
    assert door.site.request("GET", path)[0] == 400


@pytest.mark.parametrize(
    "sent",
    ["Basic {}", "Bearer", "Bearer {} {}", "{}", "Bearer x", "bearer efj_{}", "Bearer \u00e9"],
)
def test_what_is_not_one_key_is_refused(door: Door, sent: str) -> None:
    """Even if a key is in it."""
    key = door.texts["call"]
    header = sent.format(key, key)
    status, _ = door.ask("GET", "/v1/functions", Authorization=header)
    assert status in (401, 429)


def test_the_word_bearer_may_be_written_as_one_likes(door: Door) -> None:
    """As HTTP has it."""
    header = f"bEARER  {door.texts['call']}"
    assert door.ask("GET", "/v1/functions", Authorization=header)[0] == 200


def test_a_certificate_opens_what_its_holder_may_do(door: Door, fleet: Fleet) -> None:
    """A device calls, a box of the fleet renews, and both need no key."""
    device, _ = fleet.certificate("cam-1", kind="device", functions=("echo",))
    box, _ = fleet.certificate("plant-1")
    for certificate, path, status in (
        (device, "/v1/functions/echo", 200),
        (device, "/v1/functions/other", 403),
        (device, "/metrics", 403),
        (box, "/v1/functions", 403),
        (box, "/admin/v1/status", 403),
    ):
        assert door.ask("GET", path, certificate=certificate)[0] == status
    assert door.ask("POST", "/fleet/v1/renew", certificate=device, body=b"{}")[0] == 403
    assert door.ask("POST", "/fleet/v1/renew", certificate=box, body=b"{}")[0] == 200
    assert door.site.asks[-1].caller


def test_a_web_page_cannot_use_the_certificate_of_a_browser(door: Door, fleet: Fleet) -> None:
    """Browsers show it to whatever page asks; a key they must be given."""
    device, _ = fleet.certificate("desk-1", kind="device")
    page = {"Origin": "https://evil.example"}
    assert door.ask("GET", "/v1/functions", certificate=device, **page)[0] == 403
    assert door.ask("GET", "/v1/functions", "call", **page)[0] == 200


def test_a_revoked_certificate_counts_no_longer(door: Door, fleet: Fleet) -> None:
    """Though TLS still takes it."""
    device, issued = fleet.certificate("lost-1", kind="device")
    assert door.ask("GET", "/v1/functions", certificate=device)[0] == 200
    door.publish(issued.serial)
    assert door.ask("GET", "/v1/functions", certificate=device)[0] in (401, 429)
    door.publish()


def test_a_certificate_of_another_authority_ends_the_handshake(door: Door, tmp_path: Path) -> None:
    """Even with a good key, and with the same name."""
    stranger, _ = Fleet(tmp_path).certificate("plant-1")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        door.ask("GET", "/v1/functions", "call", certificate=stranger)


def test_a_caller_that_trusts_another_authority_does_not_send_its_key(
    door: Door, tmp_path: Path
) -> None:
    """Nor one that expects another host."""
    for context, host in (
        (door.context(ca=Fleet(tmp_path).ca), "localhost"),
        (door.context(), "127.0.0.1"),
    ):
        with (
            socket.create_connection(("127.0.0.1", door.port)) as sock,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(sock, server_hostname=host)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(door: Door) -> None:
    """Whatever the caller would put up with."""
    context = door.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", door.port)) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="localhost")
    context = door.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", door.port)) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        assert secured.version() == "TLSv1.2"


def test_plain_text_gets_no_answer(door: Door) -> None:
    """The connection is closed, and the port goes on."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" not in sock.recv(1000)
    assert door.ask("GET", "/healthz")[0] == 200


def test_a_peer_without_the_certificate_of_a_box_is_not_spoken_with(
    door: Door, fleet: Fleet
) -> None:
    """Not even greeted."""
    device, _ = fleet.certificate("cam-2", kind="device")
    for certificate in (None, device):
        context = door.context(certificate)
        context.set_alpn_protocols([PEER_PROTOCOL])
        with (
            socket.create_connection(("127.0.0.1", door.port), timeout=10) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as secured,
        ):
            assert _said(secured) == b""


def _said(secured: ssl.SSLSocket) -> bytes:
    try:
        return secured.recv(100)
    except (ConnectionError, ssl.SSLError):
        return b""


def test_more_than_a_few_failures_are_put_off_but_a_good_key_is_taken(door: Door) -> None:
    """From the same address."""
    told = {door.ask("GET", "/v1/functions", "unknown")[0] for _ in range(12)}
    assert 429 in told
    assert door.ask("GET", "/v1/functions", "call")[0] == 200


def test_the_port_without_tls_asks_for_no_key_and_has_no_fleet(door: Door) -> None:
    """What needs an identity is not for a port where nobody has one."""
    assert door.site.request("GET", "/v1/functions")[0] == 200
    assert door.site.request("GET", "/admin/v1/status")[0] == 200
    bearer = {"Authorization": f"Bearer {door.texts['join']}"}
    for path in ("/fleet/v1/join", "/fleet/v1/renew"):
        status, _, said = door.site.request("POST", path, b"{}", bearer)
        assert (status, json.loads(said)["error"]["code"]) == (403, "forbidden")
