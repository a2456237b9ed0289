"""Requests for another box that came to the gateway without a link to it."""

import msgspec

from edgefn.box.passed_asks import PassedAsks
from edgefn.gateway.control import Answered, Ask, PlaceReport

ASK = Ask(7, "GET", "/admin/v1/status", {"box": "edge-1"}, b"")


class Link:
    """Notes what a gateway was sent."""

    def __init__(self):
        self.asks, self.answers = [], []

    def send_ask(self, ask):
        self.asks.append(ask)

    def send_answer(self, answer):
        self.answers.append(answer)


def two(up=True):
    """A gateway that asks, and another one that has been linked with a box."""
    passed, asker, linked = PassedAsks(), Link(), Link()
    passed.reported(asker, (PlaceReport("edge-1", "edge", False),))
    passed.reported(
        linked, (PlaceReport("edge-1", "edge", up), PlaceReport("edge-2", "edge", True))
    )
    return passed, asker, linked


def message_of(answer):
    return msgspec.json.decode(answer.body)["error"]["message"]


def test_the_gateway_with_the_link_is_asked_and_its_answer_goes_back():
    """Under the number that the asking one gave it."""
    passed, asker, linked = two()
    passed.pass_on(asker, ASK, "edge-1")
    (ask,) = linked.asks
    assert (ask.path, ask.query) == (ASK.path, ASK.query)
    passed.answered(Answered(ask.id, 200, b"{}"))
    passed.answered(Answered(ask.id, 200, b"once more"))
    assert asker.answers == [Answered(7, 200, b"{}")]


def test_a_box_without_a_link_is_not_found():
    """Those with one are named."""
    passed, asker, linked = two(up=False)
    passed.pass_on(asker, ASK, "edge-1")
    (answer,) = asker.answers
    assert (answer.id, answer.status, linked.asks) == (7, 404, [])
    assert message_of(answer) == "no link to a box 'edge-1' is up; linked are edge-2"


def test_a_gateway_that_dies_answers_what_it_was_passed():
    """With a refusal; nothing is passed to it any more."""
    passed, asker, linked = two()
    passed.pass_on(asker, ASK, "edge-1")
    passed.lost(linked)
    assert asker.answers[0].status == 503
    passed.pass_on(asker, ASK, "edge-1")
    assert message_of(asker.answers[1]).endswith("none is linked")
