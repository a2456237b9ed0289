"""What is told of a hub, and what is not."""

import json
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgefn.access.table import AccessTable, Grant
from edgefn.box.hub.content import content_of, digest_of
from edgefn.desired.state import DesiredState, RayHead, Upstream

NOTHING = {"serving": (), "trusted": None, "access": AccessTable(), "upstreams": (), "ray": None}


def content(**fields):
    return content_of(**{**NOTHING, **fields})


def a_grant(name, can):
    return Grant(id=name, name=name, can=can, sha256=b"x")


def test_functions_come_with_the_bytes_that_were_signed_and_by_name(make_revision):
    """Whoever verifies them needs the very same; and the order of deployments is no change."""
    b, a = make_revision("b", 3), make_revision("a")
    state = content(serving=(b, a))
    assert [(one.name, one.revision, one.digest) for one in state.functions] == [
        ("a", 1, a.digest),
        ("b", 3, b.digest),
    ]
    sent = msgspec.json.decode(msgspec.json.encode(state), type=DesiredState)
    assert bytes(sent.functions[1].manifest) == b.manifest.encode()


def test_what_is_the_hubs_own_is_not_told():
    """Nobody joins with a token elsewhere, and its certificate is not theirs."""
    table = AccessTable(
        grants=(a_grant("k", "call"), a_grant("t", "join"), a_grant("o", "admin")),
        revoked=("1f",),
        certificate="2e",
    )
    told = content(access=table).access
    assert [grant.name for grant in told.grants] == ["k", "o"]
    assert (told.revoked, told.certificate) == (("1f",), "")


def test_each_part_makes_a_difference(make_revision):
    """A rollback too: another number, though the bytes were there before."""
    revision = make_revision()
    states = [
        content(),
        content(serving=(revision,)),
        content(serving=(replace(revision, number=2),)),
        content(trusted=()),
        content(trusted=("k",)),
        content(access=AccessTable(revoked=("1f",))),
        content(upstreams=(Upstream(box="b", tier="cloud", address="b:1"),)),
        content(ray=RayHead(address="h:6379", token="t")),
        content(ray=RayHead(address="h:6379", token="u")),
    ]
    assert len({digest_of(state) for state in states}) == len(states)


@given(st.text(max_size=5), st.integers(0, 10))
def test_the_number_is_no_part_of_what_is_numbered(epoch, revision):
    """Nor is what went over the wire something else."""
    state = DesiredState(epoch=epoch, revision=revision, trusted=("k",))
    assert digest_of(state) == digest_of(content(trusted=("k",)))
    assert digest_of(msgspec.json.decode(msgspec.json.encode(state), type=DesiredState)) == (
        digest_of(state)
    )
    assert json.loads(msgspec.json.encode(state))["trusted"] == ["k"]
