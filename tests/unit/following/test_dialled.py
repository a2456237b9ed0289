"""Whom a box dials."""

from itertools import combinations

from edgefn.box.following.links import dialled
from edgefn.desired.state import Upstream

CLOUDS = [Upstream(box=f"c{n}", tier="cloud", address=f"c{n}:8443") for n in (3, 1, 2)]
EDGE = Upstream(box="e1", tier="edge", address="e1:8443")


def test_an_edge_box_dials_the_boxes_of_the_cloud():
    """And no other edge box."""
    found = dialled([*CLOUDS, EDGE], box="e2", tier="edge", listens=True)
    assert found == ("c1:8443", "c2:8443", "c3:8443")


def test_two_boxes_of_the_cloud_dial_each_other_once():
    """None dials itself."""
    for one, other in combinations(CLOUDS, 2):
        dials = [
            dialled(CLOUDS, box=box.box, tier="cloud", listens=True).count(peer.address)
            for box, peer in ((one, other), (other, one))
        ]
        assert sum(dials) == 1
    assert dialled(CLOUDS, box="c1", tier="cloud", listens=True) == ()


def test_what_is_no_address_is_not_dialled():
    """Nor does it keep a box from the others."""
    wrong = [
        Upstream(box=f"w{number}", tier="cloud", address=address)
        for number, address in enumerate(("c", "c:x", "c:0", "c:65536", ":1", "c:1\n", "::1:1"))
    ]
    right = [Upstream(box="v6", tier="cloud", address="[::1]:8443"), CLOUDS[0]]
    found = dialled([*wrong, *right], box="e2", tier="edge", listens=True)
    assert found == (CLOUDS[0].address, "[::1]:8443")


def test_a_box_of_the_cloud_that_listens_nowhere_dials_all_others():
    """Nobody can dial it."""
    assert len(dialled(CLOUDS[:2], box="c0", tier="cloud", listens=False)) == 2
