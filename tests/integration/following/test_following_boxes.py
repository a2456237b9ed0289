"""A real hub, and real boxes that serve what it says."""

import random
import time

import pytest
import urllib3

from edgefn.errors import EdgefnError

CODE = """
    from edgefn import edge_function

    @edge_function(name="{name}", deadline_ms=10_000, tiers={tiers})
    def answer(x: int) -> int:
        return x + {added}
"""
BOTH = ("edge", "cloud")


@pytest.fixture
def bundle(make_bundle):
    """Builds a bundle of a function that adds a number."""

    def make(name="adds", *, added=1, tiers=BOTH):
        return make_bundle(CODE.format(name=name, tiers=tiers, added=added))

    return make


def answers(box, name="adds"):
    """Returns what a box answers for 0; None while it does not."""
    answer = box.call(name, 5000, x=0)
    return answer.json() if answer.status == 200 else None


def digest(box, name="adds"):
    """Returns the digest of what was deployed; None if nothing was."""
    known = (one for one in box.admin.functions() if one.name == name and one.revision)
    return next((one.digest for one in known), None)


def killed(box):
    """Ends a box at once, as a power cut would."""
    box.process.kill()
    box.wait()


def status_with(key, box, fleet):
    """Returns the status of a call over TLS with a key."""
    pool = urllib3.PoolManager(ca_certs=str(fleet.ca), assert_hostname=False, retries=False)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        url = f"{box.admin.status().secure_url}/v1/functions/adds"
        return pool.request("POST", url, json={"x": 0}, headers=headers).status
    finally:
        pool.clear()


def test_a_box_serves_what_its_hub_says_and_what_was_its_own(fleet, bundle, eventually):
    """Deploying, rolling back and removing on the hub reach it; its operators decide no more."""
    own = fleet.start("plant-1", tier="edge")
    own.admin.deploy(bundle("own"))
    killed(own)
    fleet.join("plant-1")
    fleet.hub.admin.deploy(bundle())
    edge = fleet.start("plant-1", tier="edge")
    eventually(lambda: digest(edge) == digest(fleet.hub))
    assert (answers(edge), answers(edge, "own")) == (1, 1)
    fleet.hub.admin.deploy(bundle(added=2))
    eventually(lambda: digest(edge) == digest(fleet.hub))
    assert answers(edge) == 2
    for refused in (
        lambda: edge.admin.deploy(bundle(added=3)),
        lambda: edge.admin.rollback("adds"),
        lambda: edge.admin.remove("adds"),
    ):
        with pytest.raises(EdgefnError, match=f"what its hub says.*{fleet.url}"):
            refused()
    fleet.hub.admin.rollback("adds")
    eventually(lambda: digest(edge) == digest(fleet.hub))
    assert answers(edge) == 1
    assert [one.note for one in edge.admin.history("adds")][0] == "revision 3 of the hub"
    fleet.hub.admin.remove("adds")
    eventually(lambda: digest(edge) is None)
    assert answers(edge, "own") == 1
    edge.admin.remove("own")


def test_what_is_for_another_tier_is_known_and_not_brought(fleet, bundle, eventually):
    """Neither to a box that follows, which lacks its files, nor kept on the hub, which tried it.

    Nor is what was not brought lost: of another tier, the box fetches it.
    """
    fleet.join("plant-1")
    edge = fleet.start("plant-1", tier="edge")
    fleet.hub.admin.deploy(bundle("up", tiers=("cloud",)))
    fleet.hub.admin.deploy(bundle("down", tiers=("edge",), added=5))
    eventually(lambda: digest(edge, "up") and digest(edge, "down"))
    assert answers(edge, "down") == 5
    for box, name in ((edge, "up"), (fleet.hub, "down")):
        (variant,) = box.admin.function(name).variants
        assert (variant.state, box.admin.function(name).replicas) == ("unavailable", ())
        assert "it is for boxes of tier" in variant.reason
    assert eventually(lambda: answers(edge, "up")) == 1
    assert eventually(lambda: answers(fleet.hub, "down")) == 5
    blobs = {path.name for path in (fleet.folder("plant-1") / "blobs").glob("??/??/*")}
    up = fleet.hub.admin.function("up").digest
    assert not blobs & {path.name for path in (fleet.folder("hub") / "revisions" / up).iterdir()}
    assert len(list((fleet.folder("plant-1") / "revisions").iterdir())) == 1
    killed(edge)
    moved = fleet.start("plant-1", tier="cloud")
    eventually(lambda: moved.replicas("up"), within_s=20.0)
    assert (answers(moved, "up"), moved.admin.function("down").replicas) == (1, ())


def test_a_box_without_its_hub_goes_on_and_catches_up(fleet, bundle, eventually):
    """Also when it is started again meanwhile; those whom the hub gave keys may call it."""
    fleet.join("plant-1")
    fleet.hub.admin.deploy(bundle())
    key = fleet.key("camera")
    edge = fleet.start("plant-1", tier="edge", listen="127.0.0.1:0")
    eventually(lambda: digest(edge))  # until then its hub answers for it
    killed(fleet.hub)
    assert answers(edge) == 1
    killed(edge)
    edge = fleet.start("plant-1", tier="edge", listen="127.0.0.1:0")
    assert answers(edge) == 1
    assert status_with(key, edge, fleet) == 200
    fleet.start_hub()
    fleet.hub.admin.deploy(bundle(added=7))
    fleet.hub.admin.revoke("camera")
    eventually(lambda: answers(edge) == 7, within_s=30.0)
    eventually(lambda: status_with(key, edge, fleet) == 401)


@pytest.fixture
def spoilt(make_bundle):
    """Builds a bundle that does not come up on one of the boxes."""
    code = """
    if "plant-1" in __file__:
        raise RuntimeError("not on this box")
    """
    return lambda: make_bundle(CODE.format(name="adds", tiers=BOTH, added=9) + code)


def failed(fleet):
    """Returns what a box reported as failed."""
    boxes = {one.box: one for one in fleet.hub.admin.fleet().boxes}
    report = boxes["plant-1"].report
    functions = report.functions if report is not None else ()
    return next((one for one in functions if one.state == "failed"), None)


def test_what_fails_at_a_box_leaves_the_old_revision_and_is_reported(
    fleet, bundle, spoilt, eventually
):
    """The next bundle is tried at once."""
    fleet.join("plant-1")
    edge = fleet.start("plant-1", tier="edge")
    fleet.hub.admin.deploy(bundle())
    eventually(lambda: answers(edge) == 1)
    eventually(lambda: digest(edge))
    fleet.hub.admin.deploy(spoilt())
    assert "not on this box" in eventually(lambda: failed(fleet)).reason
    assert answers(edge) == 1
    fleet.hub.admin.deploy(bundle(added=4))
    eventually(lambda: answers(edge) == 4)


def test_what_never_came_up_at_a_box_is_answered_by_others(fleet, bundle, spoilt, eventually):
    """Until it does."""
    fleet.join("plant-1")
    edge = fleet.start("plant-1", tier="edge")
    fleet.hub.admin.deploy(spoilt())
    assert "not on this box" in eventually(lambda: failed(fleet)).reason
    assert eventually(lambda: answers(edge)) == 9
    known = edge.admin.function("adds")
    assert (known.revision, known.state, known.replicas) == (0, "elsewhere", ())
    assert "not on this box" in known.reason
    fleet.hub.admin.deploy(bundle(added=4))
    eventually(lambda: digest(edge))
    assert (answers(edge), edge.admin.function("adds").state) == (4, "serving")


def test_a_box_that_is_killed_again_and_again_arrives_where_its_hub_is(fleet, bundle, eventually):
    """At whatever step it was."""
    fleet.join("plant-1")
    chance = random.Random(5)
    edge = fleet.start("plant-1", tier="edge")
    for added in range(2):
        fleet.hub.admin.deploy(bundle(added=added))
        time.sleep(chance.uniform(0.0, 0.6))
        killed(edge)
        edge = fleet.start("plant-1", tier="edge")
    eventually(lambda: answers(edge) == 1)
    assert len(edge.admin.functions()) == 1


def test_boxes_find_those_of_the_cloud_through_their_hub(fleet, eventually):
    """Each is linked with the others once it can be."""
    for name in ("cloud-2", "plant-1"):
        fleet.join(name)
    cloud = fleet.start("cloud-2", tier="cloud", listen="127.0.0.1:0")
    edge = fleet.start("plant-1", tier="edge")

    def linked(box):
        return {place.name for place in box.admin.status().places if place.up}

    eventually(lambda: linked(edge) == {"cloud-1", "cloud-2"}, within_s=20.0)
    eventually(lambda: linked(cloud) == {"cloud-1", "plant-1"}, within_s=20.0)
