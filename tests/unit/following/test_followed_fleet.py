"""What whoever places replicas on a box is told of the fleet."""

import asyncio

from edgefn.box.following.fleet import FollowedFleet
from edgefn.desired.state import RayHead
from edgefn_runtime.leasing import FleetNow, Joined


async def test_who_watches_is_told_when_there_is_a_head_and_when_it_moved():
    """Not before, and not twice."""
    fleet = FollowedFleet(box="plant-1", tier="edge", site="s")
    first = fleet.now()
    assert first == FleetNow(box="plant-1", tier="edge", site="s")
    watching = asyncio.ensure_future(fleet.changed(first))
    fleet.tell(None)
    await asyncio.sleep(0)
    assert not watching.done()
    fleet.tell(RayHead(address="10.0.0.1:6379", token="t"))
    known = await watching
    assert (known.head, known.token, known.is_hub) == ("10.0.0.1:6379", "t", False)
    fleet.tell(None)
    assert await fleet.changed(known) == first


def test_whether_the_machine_is_in_the_cluster_is_known_of_whoever_runs_ray():
    """It is part of what the box reports."""
    fleet = FollowedFleet(box="plant-1", tier="edge", site="s")
    assert not fleet.in_cluster
    fleet.joined(Joined(in_cluster=True))
    assert fleet.in_cluster
