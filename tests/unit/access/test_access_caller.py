"""Who a request is from, and what it may do."""

from typing import Any

import pytest

from edgefn.access.caller import (
    LOCAL,
    NOBODY,
    NotAllowed,
    Registry,
    Unauthorized,
    check_allowed,
)
from edgefn.access.identity import Identity, identity_of
from edgefn.access.needs import ALLOWED, Kind, Need
from edgefn.access.secret import new_key, new_token
from edgefn.access.table import AccessTable, Grant

NOW_S = 1_800_000_000.0
SERIAL = f"{7:040x}"
# What each may do: the whole matrix, written out, so that a change of it is seen.
MATRIX: dict[str, str] = {
    "call": "call",
    "operate": "call metrics operate",
    "deploy": "call metrics operate deploy",
    "admin": "call metrics operate deploy admin",
    "join": "join",
    "box": "fleet",
    "device": "call",
}


def registry(can: Kind = "call", **changes: Any) -> tuple[str, Registry]:
    text, secret = new_token("ab" * 32) if can == "join" else new_key()
    grant = Grant(id=secret.id, name="ci", can=can, sha256=secret.sha256, **changes)
    return text, Registry(AccessTable(grants=(grant,)))


@pytest.mark.parametrize(("kind", "may"), MATRIX.items())
def test_each_kind_may_do_exactly_this(kind: Kind, may: str) -> None:
    """And everyone what needs nothing."""
    assert {need.value for need in ALLOWED[kind]} == {"nothing", *may.split()}
    assert MATRIX.keys() == ALLOWED.keys()


def test_nobody_may_do_only_what_needs_nothing_and_this_machine_no_more_than_an_admin() -> None:
    """What needs an identity is not for who has none."""
    assert NOBODY.allowed == {Need.NOTHING}
    assert LOCAL.allowed == ALLOWED["admin"]


@pytest.mark.parametrize("need", list(Need))
@pytest.mark.parametrize("kind", ["call", "operate", "deploy", "admin", "join"])
def test_a_key_opens_what_its_kind_may_do_and_nothing_else(kind: Kind, need: Need) -> None:
    """Whoever is known and may not is told so; nobody is asked who they are."""
    text, known = registry(kind)
    caller = known.by_secret(text, NOW_S)
    if need in ALLOWED[kind]:
        check_allowed(caller, need, "voice")
    else:
        with pytest.raises(NotAllowed, match="ci"):
            check_allowed(caller, need, "voice")
    if need is not Need.NOTHING:
        with pytest.raises(Unauthorized, match="Bearer"):
            check_allowed(NOBODY, need, "")


def test_a_key_for_some_functions_calls_no_other() -> None:
    """Also one that does not exist: it cannot be found out."""
    text, known = registry(functions=("voice",))
    caller = known.by_secret(text, NOW_S)
    check_allowed(caller, Need.CALL, "voice")
    check_allowed(caller, Need.CALL, "")
    for other in ("voices", "voic", "diagnosis"):
        with pytest.raises(NotAllowed, match="no access to function"):
            check_allowed(caller, Need.CALL, other)


def test_an_expired_key_counts_no_longer_to_the_instant() -> None:
    """By the clock of the box."""
    text, known = registry(expires_s=NOW_S)
    assert known.by_secret(text, NOW_S - 0.001).name == "ci"
    with pytest.raises(Unauthorized, match="has expired"):
        known.by_secret(text, NOW_S)


def test_a_revoked_key_an_unknown_one_and_a_wrong_secret_are_told_alike() -> None:
    """What an attacker learns of a key is nothing."""
    text, known = registry()
    wrong = text[:-52] + new_key()[0][-52:]
    told = []
    for tried in (wrong, new_key()[0]):
        with pytest.raises(Unauthorized) as refused:
            known.by_secret(tried, NOW_S)
        told.append(refused.value.message)
    known.update(AccessTable())
    with pytest.raises(Unauthorized) as refused:
        known.by_secret(text, NOW_S)
    assert {*told, refused.value.message} == {told[0]}
    assert "efk_" not in told[0]


def held(**changes: Any) -> Identity:
    fields: dict[str, Any] = {"kind": "device", "name": "cam-1", "serial": SERIAL}
    return Identity(**{**fields, "expires_s": NOW_S + 1, **changes})


def test_a_device_calls_what_its_certificate_says() -> None:
    """The hub wrote it there, so that each box of the fleet knows."""
    caller = Registry().by_certificate(held(functions=("voice",)), NOW_S)
    check_allowed(caller, Need.CALL, "voice")
    with pytest.raises(NotAllowed):
        check_allowed(caller, Need.CALL, "diagnosis")
    with pytest.raises(NotAllowed):
        check_allowed(caller, Need.METRICS, "")


def test_a_revoked_or_expired_certificate_counts_no_longer() -> None:
    """Also on a connection that was made before."""
    with pytest.raises(Unauthorized, match="was revoked"):
        Registry(AccessTable(revoked=(SERIAL,))).by_certificate(held(), NOW_S)
    with pytest.raises(Unauthorized, match="has expired"):
        Registry().by_certificate(held(), NOW_S + 1)


def certificate(*uris: str) -> dict[str, Any]:
    return {
        "serialNumber": "07",
        "notAfter": "Jan  1 00:00:00 2030 GMT",
        "subjectAltName": (("DNS", "edgefn:box:evil"), *(("URI", one) for one in uris)),
    }


def test_who_holds_a_certificate_is_read_from_its_uris_only() -> None:
    """Not from names for TLS."""
    found = identity_of(certificate("edgefn:box:plant-1", "edgefn:hub", "https://x"))
    assert found is not None
    assert (found.kind, found.name, found.is_hub, found.serial) == ("box", "plant-1", True, SERIAL)


@pytest.mark.parametrize(
    "uris", [(), ("spiffe://x",), ("edgefn:hub",), ("edgefn:box:a", "edgefn:device:b")]
)
def test_a_certificate_that_names_no_one_or_two_names_nobody(uris: tuple[str, ...]) -> None:
    """Deny by default."""
    assert identity_of(certificate(*uris)) is None
    assert identity_of({}) is None
    assert identity_of(None) is None
