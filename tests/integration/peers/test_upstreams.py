"""Boxes that a gateway is told to keep linked, beside its hub, and later not any more."""

import asyncio

import pytest

from edgefn.access.tls import server_context


@pytest.fixture
async def clouds(make_box, fleet, open_port):
    """Two boxes of the cloud that listen; none is the hub."""
    boxes = []
    for name in ("cloud-1", "cloud-2"):
        box = await make_box(name, "cloud").start()
        box.serve()
        pair, _ = fleet.certificate(name)
        open_port(box, server_context(pair, fleet=fleet.ca))
        boxes.append(box)
    return boxes


@pytest.fixture
async def edge(make_box, fleet):
    """A box that cannot run the function; `follow` tells it what to dial."""
    pair, _ = fleet.certificate("edge-1")
    context = fleet.dial(pair)
    box = await make_box("edge-1").start()
    box.serve(here=False)
    box.follow = lambda *boxes: box.peers.follow_upstreams(
        tuple(one.secure_address for one in boxes), context
    )
    return box


async def test_boxes_are_dialled_as_they_come_and_dropped_as_they_go(edge, clouds, soon):
    """Whatever their certificates call them, if it is the fleet's; a link that stays is the same
    one."""
    one, two = clouds
    edge.follow(one)
    await soon(lambda: edge.sees("cloud-1"))
    (link,) = edge.peers._links
    edge.follow(one, two, two)
    await soon(lambda: edge.sees("cloud-2"))
    assert link in edge.peers._links and len(edge.peers._links) == 2
    edge.follow(two)
    await soon(lambda: not edge.sees("cloud-1"))
    assert await edge.call() == b"cloud-2:x"
    await soon(lambda: len(edge.peers._links) == 1)
    edge.follow(one)
    await soon(lambda: edge.sees("cloud-1"))


async def test_what_is_under_way_over_a_dropped_link_is_answered_first(edge, clouds, soon):
    """In both directions; nothing new takes it meanwhile."""
    cloud, _ = clouds
    edge.follow(cloud)
    await soon(lambda: edge.sees("cloud-1"))
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    edge.follow()
    await soon(lambda: not edge.sees("cloud-1"))
    assert edge.peers.asks_of("cloud-1") is None
    (link,) = edge.peers._links
    cloud.replica.answer(cloud.taken[0])
    assert (await asyncio.wait_for(call.answered, 5.0)).body == b"cloud-1:x"
    await soon(lambda: link.protocol.closed.done())
    assert not edge.peers._links


async def test_a_call_over_a_dropped_link_can_be_cancelled(edge, clouds, soon):
    """The peer hears of it."""
    cloud, _ = clouds
    edge.follow(cloud)
    await soon(lambda: edge.sees("cloud-1"))
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    edge.follow()
    edge.dispatcher.abandon(call)
    await soon(lambda: cloud.cancelled)


async def test_the_peer_of_a_dropped_link_sends_nothing_more_over_it(edge, clouds, soon):
    """It is told so, before the link ends."""
    cloud, _ = clouds
    cloud.serve(here=False)
    edge.serve()
    edge.follow(cloud)
    await soon(lambda: cloud.sees("edge-1") and "r-edge-1" in edge.dispatcher.carriers)
    edge.holding = True
    call = cloud.submit()
    await soon(lambda: edge.taken)
    edge.follow()
    await soon(lambda: not cloud.sees("edge-1"))
    edge.replica.answer(edge.taken[0])
    assert (await asyncio.wait_for(call.answered, 5.0)).body == b"edge-1:x"
