"""Whose bundles a box takes, and in which order."""

from pathlib import Path

import pytest

from edgefn.box.trust import Expired, Newest, Older, Trust, TrustList, Untrusted, check_order
from edgefn.bundle.keys import SigningKey, own_key
from edgefn.bundle.signing import BadSignature, Signature, sign
from edgefn.errors import ConfigError

DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64
STRANGER = SigningKey(b"\7" * 32)


class Site:
    """A box's state directory beside its user's keys, at a fixed time."""

    def __init__(self, folder: Path) -> None:
        self.config_dir = folder / "config"
        self.list = TrustList(folder / "state")
        self.trust = Trust(folder / "state", self.config_dir, clock=lambda: 1000.0)

    def own(self, sequence: int = 1, expires_at: int | None = None) -> Signature:
        return sign(own_key(self.config_dir), DIGEST, sequence=sequence, expires_at=expires_at)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_box_that_was_told_nothing_takes_its_own_users_bundles(site: Site) -> None:
    """And no others; before its user has a key, none at all."""
    foreign = sign(STRANGER, DIGEST, sequence=1)
    with pytest.raises(Untrusted):
        site.trust.admit(foreign, DIGEST, None)
    site.trust.admit(site.own(), DIGEST, None)
    with pytest.raises(Untrusted, match=f"edgefn key trust {STRANGER.public} --state-dir"):
        site.trust.admit(foreign, DIGEST, None)


def test_a_box_with_a_list_takes_nothing_else(site: Site) -> None:
    """Not even what its own user signed; an empty list is a list."""
    foreign = sign(STRANGER, DIGEST, sequence=1)
    assert site.list.keys() is None
    site.list.add(STRANGER.public)
    site.trust.admit(foreign, DIGEST, None)
    with pytest.raises(Untrusted):
        site.trust.admit(site.own(), DIGEST, None)
    assert site.list.remove(STRANGER.public)
    assert not site.list.remove(STRANGER.public)
    assert site.list.keys() == ()
    for signature in (foreign, site.own()):
        with pytest.raises(Untrusted):
            site.trust.admit(signature, DIGEST, None)


def test_an_unsigned_bundle_is_nobodys(site: Site) -> None:
    """Whatever the box trusts."""
    with pytest.raises(Untrusted, match="not signed"):
        site.trust.admit(None, DIGEST, None)


def test_a_trusted_key_does_not_vouch_for_other_bundles(site: Site) -> None:
    """A manifest with the signature of another is refused."""
    with pytest.raises(BadSignature):
        site.trust.admit(site.own(), OTHER_DIGEST, None)


@pytest.mark.parametrize("content", ["not a key", "A" * 64, "a" * 63, "\0" * 8])
def test_a_damaged_list_trusts_nobody(site: Site, content: str) -> None:
    """The line is named, and a good line beside it does not help."""
    site.list.add(STRANGER.public)
    with site.list.path.open("a") as file:
        file.write(f"# a remark\n\n{content}\n")
    with pytest.raises(ConfigError, match="line 4"):
        site.list.keys()
    with pytest.raises(Untrusted, match="cannot tell whom it trusts"):
        site.trust.admit(sign(STRANGER, DIGEST, sequence=1), DIGEST, None)


def test_a_list_that_others_could_write_trusts_nobody(site: Site) -> None:
    """They could have written it."""
    site.list.add(STRANGER.public)
    site.list.path.chmod(0o666)
    with pytest.raises(Untrusted, match="mode 0666"):
        site.trust.admit(sign(STRANGER, DIGEST, sequence=1), DIGEST, None)


@pytest.mark.parametrize(
    ("sequence", "expires_at", "digest", "newest", "refused"),
    [
        (5, None, DIGEST, None, None),
        (5, None, DIGEST, Newest(sequence=4, digest=OTHER_DIGEST), None),
        (5, None, DIGEST, Newest(sequence=5, digest=DIGEST), None),
        (5, None, DIGEST, Newest(sequence=5, digest=OTHER_DIGEST), Older),
        (5, None, DIGEST, Newest(sequence=6, digest=OTHER_DIGEST), Older),
        (5, None, DIGEST, Newest(sequence=6, digest=DIGEST), Older),
        (5, 101, DIGEST, None, None),
        (5, 100, DIGEST, None, Expired),
        (5, 99, DIGEST, None, Expired),
        (500, 300, DIGEST, Newest(sequence=400, digest=OTHER_DIGEST), Expired),
    ],
)
def test_the_order_of_signatures(
    sequence: int,
    expires_at: int | None,
    digest: str,
    newest: Newest | None,
    refused: type[Exception] | None,
) -> None:
    """Older ones and expired ones are refused at instant 100, the very newest once more is not."""
    signature = sign(STRANGER, digest, sequence=sequence, expires_at=expires_at)
    if refused is None:
        check_order(signature, digest, newest, now_ms=100)
        return
    with pytest.raises(refused):
        check_order(signature, digest, newest, now_ms=100)


def test_the_clock_of_the_box_counts(site: Site) -> None:
    """Here it is one second past the thousandth millisecond a thousand times."""
    site.trust.admit(site.own(expires_at=1_000_001), DIGEST, None)
    with pytest.raises(Expired):
        site.trust.admit(site.own(expires_at=1_000_000), DIGEST, None)


def test_what_may_come_back_needs_no_order(site: Site) -> None:
    """A rollback asks who signed, not when."""
    signature = site.own(expires_at=1)
    assert site.trust.check(signature, DIGEST) == signature


def test_a_box_that_follows_takes_whom_its_hub_trusts_and_its_own_list_narrows_it(
    site: Site,
) -> None:
    """Without any list the hub vouches; and never for what was not signed at all."""
    key = STRANGER.public
    foreign = sign(STRANGER, DIGEST, sequence=1, expires_at=2)
    site.trust.check_followed(foreign, DIGEST, None)
    site.trust.check_followed(foreign, DIGEST, (key,))
    with pytest.raises(Untrusted, match="which the hub does not trust"):
        site.trust.check_followed(foreign, DIGEST, ())
    site.list.add("c" * 64)
    for trusted in (None, (key,)):
        with pytest.raises(Untrusted, match="which this box does not trust"):
            site.trust.check_followed(foreign, DIGEST, trusted)
    site.list.add(key)
    site.trust.check_followed(foreign, DIGEST, (key,))
    with pytest.raises(BadSignature):
        site.trust.check_followed(foreign, OTHER_DIGEST, (key,))
    with pytest.raises(Untrusted, match="not signed"):
        site.trust.check_followed(None, DIGEST, (key,))
