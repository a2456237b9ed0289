"""Calls between the gateways of two boxes, over real sockets."""

import asyncio

import msgspec
import pytest

from edgefn.errors import EdgefnError, ReplicaLost
from edgefn.gateway.control import PlaceReport
from edgefn.gateway.peer_wire import (
    Greeting,
    OfferedFunction,
    OfferedVariant,
    PeerFrameReader,
    PeerHead,
    Summary,
    encode_greeting,
    encode_summary,
)
from edgefn_runtime.frames import encode_call
from edgefn_runtime.wire import NO_BUDGET, Call, Reply


async def test_a_call_is_answered_at_the_peer_and_its_times_add_up(pair):
    """What the call was there and did not run counts as queue; the budget went along."""
    edge, cloud = pair
    call = edge.submit(b"hello", priority=7)
    reply = await asyncio.wait_for(call.answered, 5.0)
    assert (reply.body, reply.service_us, reply.batch) == (b"cloud-1:hello", 2000, 1)
    assert call.send.place == "cloud-1"
    (taken,) = cloud.taken
    assert 0 < taken.budget_us < 5_000_000 - call.send.network_s * 1e6


async def test_what_was_answered_for_a_peer_is_told_apart(pair, soon):
    """It is an outcome where its caller is; where it ran, it is a decision like others."""
    edge, cloud = pair
    cloud.dispatcher.take_reports()
    await edge.call()
    (report,) = cloud.dispatcher.take_reports()
    assert (report.forwarded_in, report.outcomes) == (1, {})
    (decision,) = cloud.dispatcher.decisions.told("f", 10, missed=False)
    assert (decision["hops"], decision["status"], decision["sla"]) == (1, 200, "met")
    assert decision["sent"]["variant"] == "python"


async def test_the_peers_that_there_are_and_were_are_told(pair, soon):
    """With their distance, and what is under way there, as long as they are up."""
    edge, cloud = pair
    cloud.holding = True
    edge.submit()
    (place,) = edge.peers.reports()
    assert (place.name, place.tier, place.up, place.calls) == ("cloud-1", "cloud", True, 1)
    assert place.rtt_s > 0.0
    await cloud.peers.aclose()
    await soon(lambda: edge.peers.reports() == (PlaceReport("cloud-1", "cloud", False),))


async def test_both_sides_of_one_link_send_calls(pair, soon):
    """Whoever dialled."""
    edge, cloud = pair
    edge.serve()
    cloud.serve(here=False)
    await soon(lambda: cloud.sees("edge-1") and "r-edge-1" in edge.dispatcher.carriers)
    assert await cloud.call() == b"edge-1:x"


async def test_a_peer_with_another_bundle_gets_no_calls(pair, soon):
    """The same name is not the same function."""
    edge, cloud = pair
    edge.serve(digest="d2", here=False)
    with pytest.raises(EdgefnError):
        edge.submit()
    cloud.serve(digest="d2")
    await soon(lambda: _routable(edge))
    assert await edge.call() == b"cloud-1:x"


async def test_a_function_that_goes_away_at_the_peer_is_not_called_there(pair, soon):
    """As soon as the peer says so."""
    edge, cloud = pair
    cloud.update()
    await soon(lambda: not edge.sees("cloud-1"))
    with pytest.raises(EdgefnError):
        edge.submit()


async def test_a_cancel_travels(pair, soon):
    """The replica at the peer hears that no one waits any more."""
    edge, cloud = pair
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    edge.dispatcher.abandon(call)
    await soon(lambda: cloud.cancelled)
    assert cloud.cancelled == [cloud.taken[0].id]


async def test_a_call_over_a_link_that_breaks_is_lost_and_the_endpoint_gone(pair, soon):
    """Its caller is told; when the peer is back, calls go there again."""
    edge, cloud = pair
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    (link,) = cloud.peers._links
    link.protocol.abort("a test")
    with pytest.raises(ReplicaLost, match="link to box cloud-1 was lost"):
        await asyncio.wait_for(call.answered, 5.0)
    cloud.holding = False
    await soon(lambda: edge.sees("cloud-1"))
    assert await edge.call() == b"cloud-1:x"


async def test_the_calls_of_a_peer_that_dies_are_cancelled_here(pair, soon):
    """Nobody waits for them any more."""
    edge, cloud = pair
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    await edge.peers.aclose()
    await soon(lambda: cloud.cancelled)
    with pytest.raises(ReplicaLost):
        await call.answered
    assert cloud.peers.calls() == 0


async def test_a_forwarded_call_goes_no_further(make_box, soon):
    """Two boxes without a replica, each sure that the other has one, do not play ping-pong."""
    one = await make_box("one").start()
    one.serve(here=False)
    reader, writer = await _greet(one, "two")
    writer.write(
        encode_summary(Summary((OfferedFunction("f", "d1", (OfferedVariant("python"),)),)))
    )
    await soon(lambda: one.sees("two"))
    writer.write(_call_frame("two"))
    reply = await _next(reader, Reply)
    assert (reply.id, reply.outcome, reply.batch) == (9, 1, 0)
    writer.write(_call_frame("x", "y", "two"))
    reply = await _next(reader, Reply)
    assert b"2 times is the most" in reply.body
    writer.write(_call_frame("one", "two"))
    reply = await _next(reader, Reply)
    assert b"it was here" in reply.body
    writer.close()


async def test_a_call_for_another_bundle_is_sent_elsewhere(make_box, soon):
    """A summary may be older than a deployment: the peer says that it never began."""
    edge = await make_box("edge-1").start()
    edge.serve(here=False)
    cloud = await make_box("cloud-1", "cloud").start(edge.address)
    cloud.serve()
    await soon(lambda: edge.sees("cloud-1"))
    cloud.dispatcher.functions["f"].route = _with_digest(cloud, "d2")  # not told yet
    call = edge.submit()
    with pytest.raises(EdgefnError):
        await asyncio.wait_for(call.answered, 5.0)
    assert not edge.sees("cloud-1")


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff\x10",
        encode_greeting(Greeting(protocol=99, box="x", tier="t", site="s", boot_id="b")),
        encode_summary(Summary()),
        b"\x05\x00\x00\x00\x10abcd",
    ],
)
async def test_garbage_ends_its_connection_and_nothing_else(pair, garbage):
    """Whatever it is."""
    edge, cloud = pair
    host, port = cloud.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(garbage)
    frames = PeerFrameReader()
    while data := await _read(reader):
        frames.feed(data)
    writer.close()
    assert await edge.call() == b"cloud-1:x"


async def test_a_box_of_the_same_name_is_turned_away(pair):
    """Answers would be told as another box's."""
    edge, cloud = pair
    reader, writer = await _greet(cloud, "cloud-1")
    assert await _until_end(reader)
    writer.close()
    assert await edge.call() == b"cloud-1:x"


async def test_a_half_open_connection_is_found_and_dialled_again(make_box, soon):
    """A peer of which nothing is heard is as good as gone."""
    silent = []
    server = await asyncio.start_server(lambda r, w: silent.append((r, w)), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    edge = await make_box("edge-1", silence_s=0.3).start(f"127.0.0.1:{port}")
    edge.serve(here=False)
    await soon(lambda: silent)
    silent[0][1].write(encode_greeting(Greeting(box="mute", tier="edge", site="s", boot_id="b")))
    silent[0][1].write(
        encode_summary(Summary((OfferedFunction("f", "d1", (OfferedVariant("python", 1),)),)))
    )
    await soon(lambda: edge.sees("mute"))
    call = edge.submit()
    with pytest.raises(ReplicaLost, match="nothing was heard"):
        await asyncio.wait_for(call.answered, 5.0)
    await soon(lambda: len(silent) > 1)
    server.close()
    for _, writer in silent:
        writer.close()


async def test_a_box_that_stops_is_left_alone_but_answers_what_it_has(pair, soon):
    """It says so before it goes."""
    edge, cloud = pair
    cloud.holding = True
    call = edge.submit()
    await soon(lambda: cloud.taken)
    cloud.peers.withdraw()
    await soon(lambda: not edge.sees("cloud-1"))
    assert cloud.peers.calls() == 1
    cloud.replica.answer(cloud.taken[0])
    reply = await asyncio.wait_for(call.answered, 5.0)
    assert (reply.body, cloud.peers.calls()) == (b"cloud-1:x", 0)


def _routable(box):
    try:
        call = box.submit()
    except EdgefnError:
        return False
    box.dispatcher.abandon(call)
    return True


def _with_digest(box, digest):
    return msgspec.structs.replace(box.dispatcher.functions["f"].route, digest=digest)


async def _greet(box, name):
    host, port = box.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(encode_greeting(Greeting(box=name, tier="edge", site=name, boot_id="b")))
    return reader, writer


def _call_frame(*via):
    head = PeerHead("f", "python", "d1", via=via)
    return encode_call(Call(9, 1, 1, 0, NO_BUDGET, msgspec.msgpack.encode(head), b"x"))


async def _next(reader, kind):
    frames = PeerFrameReader()
    while True:
        for frame in frames.feed(await _read(reader)):
            if isinstance(frame, kind):
                return frame


async def _until_end(reader):
    while await _read(reader):
        pass
    return True


async def _read(reader):
    try:
        return await asyncio.wait_for(reader.read(65536), 5.0)
    except ConnectionError:
        return b""
