"""What the fleet leans on in Ray, against Ray itself: placement, counts, health, recovery, token.

The box is a fake one, so that what fails here is what a release of Ray moved.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from edgefn_runtime.lease_words import STATE_DIR

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest.fixture
def cloud(cluster):
    """A pool that is left alone, to see that nothing else disturbs it."""
    return cluster.pool("fp32", 1, tier="cloud", site="")


def listens_at(address):
    """Returns on which addresses the port of an address listens, as the kernel writes them."""
    port = int(address.rpartition(":")[2])
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    listening = [row[1].partition(":") for row in rows if row[3] == "0A"]
    return {host for host, _, hexadecimal in listening if int(hexadecimal, 16) == port}


async def test_replicas_are_placed_by_tier_and_site(cluster, cloud):
    """Label selectors place each pool on a box of its tier and site, as leases there."""
    await cluster.hub.want(cloud, cluster.pool("int8", 2))
    await cluster.hub.until(lambda hub: hub.holders("voice") == {"fp32": 1})
    await cluster.edge.until(lambda edge: edge.holders("voice") == {"int8": 2})


async def test_a_site_without_a_box_falls_back_to_its_tier(cluster, cloud):
    """The fallback selector places a pool whose site has no machine on another of the tier."""
    await cluster.hub.want(cloud, cluster.pool("int8", 2), cluster.pool("int4", 1, site="away"))
    await cluster.edge.until(lambda edge: edge.holders("voice") == {"int8": 2, "int4": 1})
    assert cluster.hub.holders("voice") == {"fp32": 1}


async def test_a_change_of_a_count_starts_nothing_else_anew(cluster, cloud):
    """The external scaler changes one count; the processes of all other replicas stay."""
    hub, edge = cluster.hub, cluster.edge
    await hub.want(cloud, cluster.pool("int8", 2))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 2})
    before, elsewhere = edge.pids("voice"), hub.pids("voice")
    await hub.want(cloud, cluster.pool("int8", 3))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 3})
    assert before < edge.pids("voice"), "a change of num_replicas started replicas anew"
    before = edge.pids("voice")
    await hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    assert edge.pids("voice") < before, "a change of num_replicas started replicas anew"
    assert hub.pids("voice") == elsewhere


async def test_a_replica_that_serve_ends_gives_its_lease_back(cluster, cloud):
    """Serve calls `__del__` at a graceful shutdown, also when a pool goes to none and back."""
    edge = cluster.edge
    await cluster.hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    given_back, lost = len(edge.given_back), len(edge.lost)
    await cluster.hub.want(cloud, cluster.pool("int8", 0))
    await edge.until(lambda edge: not edge.held)
    assert (len(edge.given_back), len(edge.lost)) == (given_back + 1, lost)
    await cluster.hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})


async def test_a_replica_that_dies_loses_its_lease_and_is_replaced(cluster, cloud):
    """A killed actor gives nothing back; Serve places another."""
    edge = cluster.edge
    await cluster.hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    (pid,) = edge.pids("voice")
    given_back, lost = len(edge.given_back), len(edge.lost)
    os.kill(pid, signal.SIGKILL)
    await edge.until(lambda edge: len(edge.lost) > lost and edge.held)
    assert edge.pids("voice") != {pid}
    assert len(edge.given_back) == given_back


async def test_an_unwell_lease_is_replaced(cluster, cloud):
    """Serve asks `check_health`, and replaces a replica whose box says that it is unwell."""
    edge = cluster.edge
    await cluster.hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    (holder,) = edge.held.values()
    edge.unwell.add(holder.name)
    await edge.until(lambda edge: edge.held and holder not in edge.held.values())


async def test_a_refused_lease_is_tried_again(cluster, cloud):
    """A pool that Serve gave up is deployed again once the box gives the lease."""
    edge = cluster.edge
    edge.refused = "it does not fit into the memory of this box"
    tried = edge.refusals
    await cluster.hub.want(cloud, cluster.pool("int2", 1))
    await edge.until(lambda edge: edge.refusals >= tried + 3)
    edge.refused = ""
    await edge.until(lambda edge: edge.holders("voice")["int2"] == 1)


async def test_replicas_survive_the_death_of_the_controller(cluster, cloud):
    """The controller comes back with what it knew, and the driver goes on telling it counts."""
    hub, edge = cluster.hub, cluster.edge
    await hub.want(cloud, cluster.pool("int8", 2))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 2})
    before = edge.pids("voice")
    os.kill(cluster.pid(hub, "ray::ServeController"), signal.SIGKILL)
    await hub.want(cloud, cluster.pool("int8", 3))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 3})
    assert before < edge.pids("voice"), "the controller's death cost replicas"


async def test_the_next_driver_takes_over(cluster, cloud):
    """A driver that dies costs nothing, and the next one knows what is to be ended."""
    hub, edge = cluster.hub, cluster.edge
    await hub.want(cloud, cluster.pool("int8", 1))
    await edge.until(lambda edge: edge.holders("voice") == {"int8": 1})
    elsewhere = hub.pids("voice")
    os.kill(cluster.pid(hub, "edgefn.fleet.driver"), signal.SIGKILL)
    await hub.want(cloud)
    await edge.until(lambda edge: not edge.held)
    assert hub.pids("voice") == elsewhere


async def test_no_call_of_a_user_can_enter_through_ray(cluster):
    """No proxy, no dashboard's port and no port for client programs is there."""
    titles = " ".join(cluster.titles(cluster.hub).values())
    assert "ray::ServeController" in titles
    assert "Proxy" not in titles
    assert "ray.util.client.server" not in titles


async def test_a_head_on_loopback_is_not_open_to_the_network(cluster):
    """The head and the machines' own ports listen on loopback alone, if that was named."""
    assert listens_at(cluster.hub.joined.address) == {"0000000000000000FFFF00000100007F"}


async def test_a_wrong_token_is_refused(cluster, tmp_path):
    """Ray lets nobody drive the cluster who has not its token."""
    token = tmp_path / "token"
    token.write_text("not-the-token")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "edgefn.fleet.driver", cluster.hub.joined.address,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            STATE_DIR: str(cluster.hub.state_dir),
        },
    )  # fmt: skip
    said, logged = await process.communicate()
    assert said == b""
    assert process.returncode != 0
    assert b"uthentic" in logged
