"""What a box gives out: keys, tokens, certificates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.access.authority import Authority
from edgefn.access.caller import Registry, Unauthorized
from edgefn.access.certificates import (
    BadRequest,
    holder_name,
    make_request,
    new_private_key,
    read_certificate,
    read_pair,
)
from edgefn.access.files import AccessFiles
from edgefn.access.identity import serial_text
from edgefn.access.joining import IssueRequest
from edgefn.access.orders import NewKey, NewToken
from edgefn.box.access_errors import Conflict, NotAHub, Refused, Unknown
from edgefn.box.access_ledger import Ledger
from edgefn.errors import ConfigError


class Hub:
    """A ledger with an authority, and a clock that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 1_800_000_000.0
        self.files = AccessFiles(folder)
        self.ledger = self.open()
        Authority.open_or_make(self.files.authority, self.ledger.now())
        self.reopen()
        self.ledger.certify_self()

    def open(self, name: str = "cloud-1") -> Ledger:
        return Ledger(self.files, name, ("hub", "10.0.0.1"), lambda: self.now_s)

    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = self.open()

    def token(self, **order: Any) -> str:
        return self.ledger.make_token(NewToken(**order)).id

    def join(self, token: str, name: str = "plant-1", key: Any = None) -> str:
        request = make_request(key or new_private_key())
        return self.ledger.join(token, IssueRequest(request=request, name=name))

    def who(self, text: str) -> str:
        return Registry(self.ledger.table()).by_secret(text, self.now_s).name


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    made.ledger.close()


def test_a_key_counts_until_it_is_revoked_also_after_a_restart(hub: Hub) -> None:
    """By its id or by its name; its text is nowhere in the state."""
    first = hub.ledger.make_key(NewKey(name="ci", can="deploy"))
    second = hub.ledger.make_key(NewKey(name="camera"))
    hub.reopen()
    assert (hub.who(first.text), hub.who(second.text)) == ("ci", "camera")
    hub.ledger.revoke("ci")
    hub.ledger.revoke(second.id)
    hub.reopen()
    for text in (first.text, second.text):
        with pytest.raises(Unauthorized):
            hub.who(text)
        secret = text.rpartition("_")[2].encode()
        for path in hub.files.folder.iterdir():
            assert secret not in path.read_bytes()
    with pytest.raises(Unknown):
        hub.ledger.revoke("ci")


def test_two_keys_have_two_names(hub: Hub) -> None:
    """A name in a log says which it was."""
    hub.ledger.make_key(NewKey(name="ci"))
    with pytest.raises(Conflict, match="there is a key 'ci'"):
        hub.ledger.make_key(NewKey(name="ci"))


def test_a_token_is_used_once_but_answers_the_same_box_again(hub: Hub) -> None:
    """Whose connection broke before the certificate came; anyone else comes too late."""
    token, key = hub.token(), new_private_key()
    first, again = hub.join(token, key=key), hub.join(token, key=key)
    assert holder_name(read_certificate(again)) == "plant-1"
    serial = serial_text(read_certificate(first).serial_number)
    assert serial in hub.ledger.table().revoked  # only one of the two counts
    hub.reopen()
    with pytest.raises(Refused, match="was used"):
        hub.join(token)
    with pytest.raises(Refused, match="was used"):
        hub.join(token, name="plant-2")


def test_a_token_ends(hub: Hub) -> None:
    """Whether it was used or not."""
    token = hub.token(lifetime_s=60.0)
    hub.now_s += 60.0
    with pytest.raises(Refused, match="expired"):
        hub.join(token)
    assert not hub.ledger.listed().certificates


def test_a_key_is_no_token_and_a_revoked_token_none_either(hub: Hub) -> None:
    """The id alone is no right."""
    key, token = hub.ledger.make_key(NewKey(name="ci", can="admin")).id, hub.token()
    hub.ledger.revoke(token)
    for wrong in (key, token, ""):
        with pytest.raises(Refused):
            hub.join(wrong)


def test_no_two_boxes_have_one_name_unless_an_operator_says_so(hub: Hub) -> None:
    """A box that is stolen or broken is replaced by a token for its name, and is out with it."""
    old = read_certificate(hub.join(hub.token()))
    token = hub.token()
    with pytest.raises(Conflict, match="edgefn key join plant-1"):
        hub.join(token)
    hub.join(token, name="plant-2")  # the token was not lost
    named = hub.token(name="plant-1")
    with pytest.raises(Refused, match="for box 'plant-1'"):
        hub.join(named, name="plant-3")
    hub.join(named)
    assert hub.ledger.table().revoked == (serial_text(old.serial_number),)
    assert [one.name for one in hub.ledger.listed().certificates] == ["plant-1", "plant-2"]


@pytest.mark.parametrize("name", ["cloud-1", "hub", "10.0.0.1", "", "a b", "x" * 64, "ü", "a\n"])
def test_no_box_gets_a_name_of_the_hub_or_one_that_is_none(hub: Hub, name: str) -> None:
    """It could pass for it."""
    with pytest.raises((Conflict, BadRequest)):
        hub.join(hub.token(), name=name)


def test_no_token_is_made_for_a_name_of_the_hub(hub: Hub) -> None:
    """Nor with one for TLS."""
    with pytest.raises(Conflict, match="name of the hub"):
        hub.token(name="cloud-1")
    with pytest.raises(Conflict, match="name of the hub"):
        hub.token(tls_names=("ok", "hub"))


def test_a_box_renews_what_it_has_until_it_is_revoked(hub: Hub) -> None:
    """With its name and its names for TLS, and nothing more."""
    first = read_certificate(hub.join(hub.token(tls_names=("plant-1.local",))))
    serial = serial_text(first.serial_number)
    ask = IssueRequest(request=make_request(new_private_key()), name="cloud-1")
    second = read_certificate(hub.ledger.renew(serial, ask))
    assert holder_name(second) == "plant-1"
    assert b"plant-1.local" in second.public_bytes(encoding=_der())
    hub.ledger.revoke("plant-1")
    for known in (serial, serial_text(second.serial_number), "0" * 40):
        with pytest.raises(Refused, match="not known here"):
            hub.ledger.renew(known, ask)
    assert len(hub.ledger.table().revoked) == 2


def test_a_device_gets_what_its_token_says(hub: Hub) -> None:
    """The functions are in the certificate."""
    pem = hub.join(hub.token(joins="device", functions=("voice",)), name="cam-1")
    assert b"edgefn:function:voice" in read_certificate(pem).public_bytes(encoding=_der())
    (listed,) = hub.ledger.listed().certificates
    assert (listed.kind, listed.name, listed.functions) == ("device", "cam-1", ("voice",))


def test_what_expired_long_ago_is_forgotten(hub: Hub) -> None:
    """And what did not is kept."""
    hub.ledger.make_key(NewKey(name="short", lifetime_s=60.0))
    hub.ledger.make_key(NewKey(name="long"))
    hub.join(hub.token())
    hub.now_s += 400 * 86400
    hub.reopen()
    assert [key.name for key in hub.ledger.listed().keys] == ["long"]
    assert not hub.ledger.listed().certificates


def test_the_hub_renews_its_own_certificate_in_time(hub: Hub) -> None:
    """Gateways are told of another one by its serial number."""
    assert not hub.ledger.is_renewal_due()
    before = hub.ledger.table().certificate
    hub.now_s += 130 * 86400
    assert hub.ledger.is_renewal_due()
    hub.ledger.certify_self()
    assert not hub.ledger.is_renewal_due()
    assert hub.ledger.table().certificate != before
    _, certificate = read_pair(hub.files.certificate.read_text())
    assert holder_name(certificate) == "cloud-1"


def test_a_box_that_is_no_hub_gives_out_keys_and_no_certificates(tmp_path: Path) -> None:
    """It says what a hub is."""
    ledger = Ledger(AccessFiles(tmp_path), "lone", ())
    try:
        assert ledger.make_key(NewKey(name="me")).fingerprint == ""
        with pytest.raises(NotAHub, match="--hub"):
            ledger.make_token(NewToken())
        with pytest.raises(NotAHub):
            ledger.authority_pem()
    finally:
        ledger.close()


def test_a_box_keeps_the_name_under_which_it_joined(hub: Hub) -> None:
    """With another one, no peer would believe it."""
    hub.ledger.close()
    hub.ledger = hub.open("renamed")
    with pytest.raises(ConfigError, match="--name cloud-1"):
        hub.ledger.check_name()


def test_a_damaged_ledger_stops_the_box(hub: Hub) -> None:
    """It must not forget who was revoked."""
    hub.ledger.close()
    hub.files.database.write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="restore the file"):
        hub.open()
    hub.files.database.unlink()
    hub.ledger = hub.open()


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER
