"""Calls in a real fleet: a hub, and boxes of other tiers that joined it and reach no others."""

from collections import Counter
from types import SimpleNamespace

import pytest

from edgefn.access.files import AccessFiles
from edgefn.access.joining import join
from edgefn.access.orders import NewToken
from edgefn.bundle.build import build

CODE = """
from edgefn import edge_function

@edge_function(deadline_ms=10_000, tiers=("edge",))
def doubled(x: int) -> int:
    return 2 * x
"""


@pytest.fixture(scope="module")
def fleet(start_shared_box, tmp_path_factory):
    """A hub, a box of the edge and one of a tier where the function may not run."""
    folder = tmp_path_factory.mktemp("fleet")
    source = folder / "source"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    hub = start_shared_box(
        state_dir=folder / "h", name="hub", tier="cloud", hub=True, listen="127.0.0.1:0"
    )
    hub.admin.deploy(*build(str(source)))
    boxes = {}
    for name, tier in (("edge-1", "edge"), ("desk-1", "desk")):
        token = hub.admin.make_join_token(NewToken(name=name)).text
        join(hub.admin.status().secure_url, token, name, AccessFiles(folder / name))
        boxes[tier] = start_shared_box(state_dir=folder / name, name=name, tier=tier, ready=False)
    for box in boxes.values():
        box.until_ready()
    return SimpleNamespace(hub=hub, edge=boxes["edge"], desk=boxes["desk"])


def answered(box):
    """Returns the status of a call, where it was answered, and in which tier."""
    answer = box.call("doubled", x=2)
    return answer.status, answer.headers.get("Edgefn-Box"), answer.headers.get("Edgefn-Tier")


def test_what_is_for_one_tier_is_answered_there_wherever_it_is_called(fleet, eventually):
    """At the hub, which does not serve it, and at a box that only knows the hub."""
    eventually(lambda: answered(fleet.edge) == (200, "edge-1", "edge"), within_s=20.0)
    eventually(lambda: answered(fleet.hub) == (200, "edge-1", "edge"), within_s=20.0)
    eventually(lambda: answered(fleet.desk) == (200, "hub:edge", "edge"), within_s=20.0)
    assert Counter(answered(fleet.desk) for _ in range(20)) == {(200, "hub:edge", "edge"): 20}
    for box in (fleet.hub, fleet.desk):
        assert not box.replicas("doubled")
