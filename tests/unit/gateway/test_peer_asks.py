"""Requests of operators over a link: answered, refused, lost, and never too many or too large."""

import asyncio

import pytest

from edgefn.errors import NotDeployed, ProtocolError
from edgefn.gateway.errors import Unavailable
from edgefn.gateway.peer_asks import MAX_ASKS, PeerAsks
from edgefn.gateway.peer_wire import (
    MAX_ANSWER_BYTES,
    MAX_ASK_BYTES,
    PeerAnswered,
    PeerAsk,
    PeerFrameReader,
    encode_ask,
)


class Pair:
    """Both ends of a link: the hub's asks, and those of a box that answers as `answer` does."""

    def __init__(self):
        self.hub = PeerAsks("edge-1", self._to_box, None)
        self.box = PeerAsks("hub", self._to_hub, self.answer)
        self.asked, self.arrived, self.go_on = [], asyncio.Queue(), asyncio.Event()
        self.go_on.set()
        self.body = b"{}"

    def _to_box(self, frame):
        for one in PeerFrameReader().feed(frame):
            asyncio.get_running_loop().call_soon(self.box.take, one)

    def _to_hub(self, frame):
        for one in PeerFrameReader().feed(frame):
            self.hub.answered(one)

    async def answer(self, ask):
        self.asked.append(ask)
        self.arrived.put_nowait(ask)
        await self.go_on.wait()
        if ask.path == "/absent":
            raise NotDeployed("there is none")
        return PeerAnswered(ask.id, 200, self.body)

    def ask(self, path="/admin/v1/status", timeout_s=5.0):
        return self.hub.ask(path, {"limit": "3"}, "operator", timeout_s)


async def test_answers_find_who_asked_in_whatever_order_they_come():
    """And what was asked arrives as it was."""
    pair = Pair()
    answers = await asyncio.gather(pair.ask("/a"), pair.ask("/absent"), pair.ask("/b"))
    assert [one.status for one in answers] == [200, 404, 200]
    assert b"there is none" in answers[1].body
    assert pair.asked[0] == PeerAsk(1, "/a", {"limit": "3"}, "operator")


async def test_a_box_that_says_nothing_is_not_waited_for_longer_than_told():
    """Its answer is dropped then."""
    pair = Pair()
    pair.go_on.clear()
    with pytest.raises(Unavailable, match=r"edge-1 did not answer .* within 0\.01 s"):
        await pair.ask(timeout_s=0.01)
    pair.go_on.set()
    assert (await pair.ask()).status == 200


async def test_a_lost_link_answers_all_that_wait():
    """With a sentence that names the box."""
    pair = Pair()
    pair.go_on.clear()
    waiting = asyncio.gather(pair.ask(), pair.ask(), return_exceptions=True)
    await asyncio.gather(pair.arrived.get(), pair.arrived.get())
    pair.hub.close()
    pair.box.close()
    assert ["link to box edge-1 was lost" in one.message for one in await waiting] == [True, True]


async def test_more_than_a_link_may_have_are_refused():
    """On either side."""
    pair = Pair()
    pair.go_on.clear()
    waiting = [asyncio.ensure_future(pair.ask()) for _ in range(MAX_ASKS)]
    await asyncio.gather(*(pair.arrived.get() for _ in range(MAX_ASKS)))
    with pytest.raises(Unavailable, match="already"):
        await pair.ask()
    refused = []
    pair.box._write = refused.append
    pair.box.take(PeerAsk(99, "/x", {}))
    (answer,) = PeerFrameReader().feed(refused[0])
    assert (answer.id, answer.status) == (99, 503)
    pair.box._write = pair._to_hub
    pair.go_on.set()
    assert {one.status for one in await asyncio.gather(*waiting)} == {200}


async def test_whoever_is_not_the_hub_is_refused():
    """Before anything is looked at."""
    written = []
    PeerAsks("edge-2", written.append, None).take(PeerAsk(1, "/admin/v1/status", {}))
    (answer,) = PeerFrameReader().feed(written[0])
    assert (answer.status, b"answers its hub" in answer.body) == (403, True)


async def test_what_is_too_large_is_not_sent():
    """Neither a request nor an answer; and a frame that is announces itself in vain."""
    pair = Pair()
    pair.body = bytes(MAX_ANSWER_BYTES + 1)
    answer = await pair.ask()
    assert (answer.status, b"ask the box itself" in answer.body) == (503, True)
    with pytest.raises(ProtocolError, match="at most"):
        await pair.ask("/" + "x" * MAX_ASK_BYTES)
    frame = bytearray(encode_ask(PeerAsk(1, "/", {})) + bytes(MAX_ASK_BYTES))
    frame[:4] = (len(frame) - 4).to_bytes(4, "little")
    with pytest.raises(ProtocolError):
        PeerFrameReader().feed(bytes(frame))
