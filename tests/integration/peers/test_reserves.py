"""What a box asks the next tier to have ready, over real links."""


def asked(box):
    """Returns what each peer that is up asks a box for."""
    return {one.name: one.reserves for one in box.peers.reports() if one.up}


async def test_a_peer_of_the_next_tier_is_asked_and_no_other(make_box, soon):
    """It hears of each change, and no longer of what it was asked for once the link is gone."""
    cloud = await make_box("cloud-1", "cloud").start()
    cloud.serve()
    sibling = await make_box("edge-2").start()
    sibling.serve()
    edge = await make_box("edge-1").start(cloud.address, sibling.address)
    edge.serve(reserve=3)
    await soon(lambda: asked(cloud) == {"edge-1": {"f": 3}})
    assert asked(sibling) == {"edge-1": {}}
    edge.serve(reserve=1)
    await soon(lambda: asked(cloud) == {"edge-1": {"f": 1}})
    assert asked(edge) == {"cloud-1": {}, "edge-2": {}}
    await edge.peers.aclose()
    await soon(lambda: asked(cloud) == {})


async def test_boxes_that_come_take_their_part(make_box, soon):
    """And what is asked for at a peer is what all who ask it want together."""
    clouds = [await make_box(name, "cloud").start() for name in ("cloud-1", "cloud-2")]
    for cloud in clouds:
        cloud.serve()
    edge = await make_box("edge-1").start(*(cloud.address for cloud in clouds))
    edge.serve(reserve=4)
    for cloud in clouds:
        await soon(lambda cloud=cloud: asked(cloud) == {"edge-1": {"f": 2}})
    await clouds[0].peers.aclose()
    await soon(lambda: asked(clouds[1]) == {"edge-1": {"f": 4}})


async def test_a_box_that_ends_asks_for_nothing_more(make_box, soon):
    """As soon as it withdraws, while it still answers what it has."""
    cloud = await make_box("cloud-1", "cloud").start()
    cloud.serve()
    edge = await make_box("edge-1").start(cloud.address)
    edge.serve(reserve=2)
    await soon(lambda: asked(cloud) == {"edge-1": {"f": 2}})
    edge.peers.withdraw()
    await soon(lambda: asked(cloud) == {"edge-1": {}})
