"""What a replica adds to its replies for alerts."""

from typing import Any

import msgspec
import numpy as np

from edgefn_runtime.alert_marks import CLEARS, HOLDS, MAX_MARKS_BYTES, Marker, Marks, rules_of
from edgefn_runtime.frames import encode_reply, parse_frame
from edgefn_runtime.manifest import Alert
from edgefn_runtime.wire import Outcome, Reply

ALERTS = (
    Alert(when="score > 0.9", clear="score < 0.6", to=("file:a",), for_="1 of 1", name="alert"),
    Alert(when="scores[1] > 0.5", to=("file:b",), for_="1 of 1", name="alert-2"),
)


def seen(answer: Any, answers_object: bool = True, alerts: Any = ALERTS) -> Marks:
    """Returns the marks of an answer."""
    return msgspec.msgpack.decode(Marker(alerts, answers_object).marks(answer), type=Marks)


def test_each_alert_has_two_bits() -> None:
    """Between the thresholds both are 0; without `clear` one of them is always 1."""
    assert [seen({"score": score}).of(0) for score in (0.95, 0.7, 0.5)] == [HOLDS, 0, CLEARS]
    assert seen({"score": 0.95, "scores": np.array([0.0, 1.0])}).of(1) == HOLDS
    assert seen({"score": 0.95, "scores": np.array([0.0, 0.0])}).of(1) == CLEARS


def test_an_event_can_tell_what_is_small() -> None:
    """What conditions name, then scalars; long texts are cut, arrays are left out."""
    marks = seen({"score": 0.95, "label": "x" * 300, "scores": np.array([0.0, 0.25]), "raw": b"."})
    values = msgspec.msgpack.decode(marks.values)
    assert values == {"score": 0.95, "scores[1]": 0.25, "label": "x" * 200}


def test_an_answer_of_many_fields_does_not_make_a_reply_large() -> None:
    """Beyond the limit an event tells no values."""
    answer = {f"a field with a rather long name, number {n}": "x" * 200 for n in range(100)}
    marker = Marker(ALERTS, True)
    assert len(marker.marks({"score": 1.0, **answer})) <= MAX_MARKS_BYTES
    assert seen({"score": 1.0, **answer}).of(0) == HOLDS


def test_marks_say_of_which_alerts_they_are() -> None:
    """Replicas of another revision may have others."""
    assert seen({"score": 1.0}).rules == rules_of(ALERTS) != rules_of(ALERTS[:1])


def test_marks_travel_in_front_of_the_body() -> None:
    """And a reply without any has the bytes that it always had."""
    reply = Reply(7, Outcome.RESULT, 1, 0, 1, 2, 3, 1, 0, b"body", marks=b"marks")
    assert parse_frame(encode_reply(reply)) == reply
    plain = msgspec.structs.replace(reply, marks=b"")
    assert parse_frame(encode_reply(plain)) == plain
    assert len(encode_reply(reply)) - len(encode_reply(plain)) == 2 + len(b"marks")
