"""Calls that a second box sends on to a third: because it cannot answer them, or not now."""

import asyncio

import pytest

from edgefn.errors import EdgefnError


@pytest.fixture
async def star(make_box, soon):
    """A hub that cannot run the function itself, and two edge boxes that have dialled it; the
    second one can."""
    hub = await make_box("hub", "cloud").start()
    hub.serve(here=False, tiers=("edge",))
    edges = [await make_box(f"edge-{n}").start(hub.address) for n in (1, 2)]
    edges[0].serve(here=False, tiers=("edge",))
    edges[1].serve(tiers=("edge",))
    await soon(lambda: edges[0].sees("hub:edge"))
    return hub, *edges


async def test_boxes_that_cannot_reach_each_other_do_by_way_of_the_hub(star):
    """The caller's box knows the tier, the hub which box of it."""
    hub, near, far = star
    call = near.submit(b"hello")
    reply = await asyncio.wait_for(call.answered, 5.0)
    assert (reply.body, call.send.place) == (b"edge-2:hello", "hub:edge")
    assert near.dispatcher.places["hub:edge"].tier == "edge"
    (decision,) = far.dispatcher.decisions.told("f", 10, missed=False)
    assert decision["hops"] == 2


async def test_nobody_is_offered_what_it_has_itself(star, soon):
    """Its calls would come back to it, and are refused as such where a summary was too old."""
    hub, near, far = star
    near.serve(tiers=("edge",))
    await soon(lambda: far.sees("hub:edge"))
    near.update()
    await soon(lambda: not far.sees("hub:edge"))


async def test_a_relay_ends_with_the_last_box_behind_it(star, soon):
    """And with the link to the hub."""
    hub, near, far = star
    far.update()
    await soon(lambda: not near.sees("hub:edge"))
    with pytest.raises(EdgefnError):
        near.submit()
    far.serve(tiers=("edge",))
    await soon(lambda: near.sees("hub:edge"))
    await hub.peers.aclose()
    await soon(lambda: "hub:edge" not in near.dispatcher.places)
    assert "hub" not in near.dispatcher.places


async def test_what_was_forwarded_takes_no_relay(star):
    """It would be its third forward."""
    _, near, _ = star
    with pytest.raises(EdgefnError):
        near.submit(hops=1, via=("beyond",))


async def test_a_box_that_is_busy_sends_on_what_it_was_sent(make_box, soon):
    """Two boxes of the cloud share what an edge box sends to one of them."""
    hub = await make_box("hub", "cloud").start()
    second = await make_box("cloud-2", "cloud").start(hub.address)
    edge = await make_box("edge-1").start(hub.address)
    for box, here in ((hub, True), (second, True), (edge, False)):
        box.serve(here=here)
    await soon(lambda: edge.sees("hub") and hub.sees("cloud-2"))
    await soon(lambda: "r-hub" in hub.dispatcher.carriers)
    assert await edge.call() == b"hub:x"
    hub.holding = True
    answers = []
    async with asyncio.timeout(10.0):
        while b"cloud-2:x" not in answers:
            answers.append(await _answer(edge))
    call = second.taken[-1]
    assert call.budget_us < 1_000_000
    hub.holding = False


async def test_a_cancel_travels_as_far_as_its_call(star, soon):
    """The last box hears that no one waits any more."""
    _, near, far = star
    far.holding = True
    call = near.submit()
    await soon(lambda: far.taken)
    near.dispatcher.abandon(call)
    await soon(lambda: far.cancelled == [far.taken[0].id])


async def _answer(box):
    try:
        return await box.call(budget_s=0.15)
    except EdgefnError as error:
        await asyncio.sleep(0.01)  # a call that is refused at once lets no one else run
        return error.code.encode()
