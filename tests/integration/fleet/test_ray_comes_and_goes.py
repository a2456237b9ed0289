"""Machines that lose their head, and companions that end: what is lost, and what is left behind."""

import os
import signal

import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


async def test_leases_are_lost_with_the_head_and_taken_again(cluster):
    """When the head dies, leases are lost, not given back; with the next head they are back."""
    hub, edge = cluster.hub, cluster.edge
    await hub.want(cluster.pool("int8", 2), cluster.pool("fp32", 1, tier="cloud", site=""))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 2})
    await hub.until(lambda hub: hub.holders("voice") == {"fp32": 1})
    address = hub.joined.address
    os.kill(cluster.pid(hub, "/gcs_server "), signal.SIGKILL)
    await hub.until(lambda hub: not hub.joined.in_cluster)
    assert "gcs_server" in hub.joined.reason
    await edge.until(lambda edge: not edge.held)
    await hub.until(lambda hub: hub.joined.in_cluster)
    assert hub.joined.address != address
    await cluster.meet()
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 2})
    assert not edge.given_back
    assert not hub.given_back


async def test_a_machine_whose_ray_dies_joins_again(cluster):
    """The raylet of a box is started again, and its leases are lost and taken again."""
    edge = cluster.edge
    await cluster.hub.want(cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    lost = len(edge.lost)
    os.kill(cluster.pid(edge, "/raylet "), signal.SIGKILL)
    await edge.until(lambda edge: not edge.joined.in_cluster)
    await edge.until(lambda edge: edge.joined.in_cluster)
    await edge.until(lambda edge: len(edge.lost) > lost and edge.holders("voice")["int8"] == 1)


async def test_nothing_outlives_a_companion_that_is_killed(cluster):
    """All of Ray's processes of a box end when its companion does, in whatever way."""
    edge = cluster.edge
    companion = cluster.companions[1]
    assert "raylet" in " ".join(cluster.titles(edge).values())
    companion.kill()
    await companion.wait()
    await cluster.until_gone(edge)
    await edge.until(lambda edge: not edge.held)
