"""What being one of a fleet means for what a box serves, and for what it is reached at."""

import pytest

from edgefn.access.files import AccessFiles
from edgefn.box.config import BoxConfig
from edgefn.box.fleet_config import membership_of, reached_at
from edgefn.box.membership import FollowsHub, Membership


def test_a_lone_box_serves_for_all_tiers_and_one_of_a_fleet_for_its_own(tmp_path, make_revision):
    """The hub as well as those that joined."""
    lone = BoxConfig(state_dir=tmp_path / "a", tier="edge")
    hub = BoxConfig(state_dir=tmp_path / "b", tier="edge", hub=True)
    AccessFiles(tmp_path / "c").joined("https://h:8443", "token", "authority", "certificate")
    joined = BoxConfig(state_dir=tmp_path / "c", tier="edge")
    manifest = make_revision(tiers=("cloud",)).manifest
    reasons = [membership_of(one).elsewhere(manifest, {}) for one in (lone, hub, joined)]
    assert reasons == ["", *["it is for boxes of tier cloud, and this one is edge"] * 2]
    assert not Membership(tier="cloud").elsewhere(manifest, {})


def test_a_box_that_follows_leaves_to_others_what_it_has_no_engine_for(make_revision):
    """On a lone box, and on a hub, such a deployment fails."""
    manifest = make_revision().manifest
    refused = {"python": "it needs onnxruntime"}
    joined, hub = Membership(tier="edge", hub="https://h:8443"), Membership(tier="edge")
    assert joined.elsewhere(manifest, refused) == "python: it needs onnxruntime"
    assert (joined.elsewhere(manifest, {}), hub.elsewhere(manifest, refused)) == ("", "")


def test_operators_of_a_box_that_follows_are_told_where_to_go():
    """Those of a hub and of a lone box decide."""
    Membership(tier="edge").check_free("deploy", "edgefn deploy FOLDER --to")
    with pytest.raises(FollowsHub, match="edgefn deploy FOLDER --to https://h:8443"):
        Membership(hub="https://h:8443").check_free("deploy", "edgefn deploy FOLDER --to")


@pytest.mark.parametrize(
    ("listen", "names", "port", "address"),
    [
        ("10.0.0.5:8443", ("x",), 8443, "10.0.0.5:8443"),
        ("[fd00::1]:8443", (), 9, "[fd00::1]:9"),
        ("0.0.0.0:0", ("cloud-2.example", "y"), 7, "cloud-2.example:7"),
        ("", ("x",), 0, ""),
    ],
)
def test_others_dial_a_box_where_its_operator_said(tmp_path, listen, names, port, address):
    """By its first name where it listens at all addresses."""
    config = BoxConfig(state_dir=tmp_path, listen=listen, tls_names=names)
    assert reached_at(config, port) == address
