"""What callers say in headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import InvalidInput
from edgefn.gateway.errors import UnsupportedMediaType
from edgefn.gateway.headers import (
    answer_content,
    budget_s,
    choice_of,
    content_of,
    media_type,
    priority_of,
    traceparent_of,
)
from edgefn.gateway.request_id import choose_request_id, make_request_id
from edgefn.routing.choice import Choice
from edgefn_runtime.manifest import FunctionSchema
from edgefn_runtime.wire import Content

SOUNDS = FunctionSchema(
    input={}, output={}, v2_inputs=(), v2_outputs=(), media_types=("audio/wav", "audio/L16")
)


@pytest.mark.parametrize(
    ("told", "content"),
    [
        ("application/json", Content.JSON),
        ("Application/JSON ; charset=utf-8", Content.JSON),
        ("application/msgpack", Content.MSGPACK),
        ("application/x-msgpack", Content.MSGPACK),
        ("audio/wav;rate=16000", Content.MEDIA),
    ],
)
def test_content_types_that_are_spoken(told, content):
    """A type counts without its case and parameters."""
    assert content_of(told, SOUNDS) == content


@pytest.mark.parametrize("told", [None, "", "text/plain", "audio/mp3", "application/json/x", ";"])
def test_content_types_that_are_not(told):
    """Any other is refused, and the refusal names what is taken."""
    with pytest.raises(UnsupportedMediaType, match="audio/wav"):
        content_of(told, SOUNDS)


@pytest.mark.parametrize(
    ("content", "accept", "answer"),
    [
        (Content.JSON, None, Content.JSON),
        (Content.MSGPACK, "*/*", Content.MSGPACK),
        (Content.MEDIA, None, Content.JSON),
        (Content.MEDIA, "application/msgpack", Content.MSGPACK),
        (Content.JSON, "text/html, application/x-msgpack;q=0.1", Content.MSGPACK),
        (Content.MSGPACK, "image/png", Content.MSGPACK),
    ],
)
def test_the_answer_is_encoded_as_asked_else_like_the_call(content, accept, answer):
    """Accept decides where it names something that is spoken here."""
    assert answer_content(content, accept) == answer


def test_the_budget_is_the_callers_else_the_functions():
    """Milliseconds become seconds; without the header the default counts."""
    assert budget_s({"Edgefn-Deadline-Ms": "12.5"}, None) == 0.0125
    assert budget_s({}, 2.0) == 2.0
    assert budget_s({}, None) is None


@given(st.text(max_size=20))
def test_any_text_is_a_positive_budget_or_refused(text):
    """No header becomes a budget that is not a positive finite number."""
    try:
        budget = budget_s({"Edgefn-Deadline-Ms": text}, None)
    except InvalidInput:
        return
    assert budget is not None and 0.0 < budget <= 86_400.0


@given(st.text(max_size=20))
def test_any_text_is_an_accuracy_or_refused(text):
    """What passes as an accuracy is a number from 0 to 1."""
    try:
        choice = choice_of({"Edgefn-Min-Accuracy": text})
    except InvalidInput:
        return
    assert 0.0 <= float(text) <= 1.0
    assert (choice.min_accuracy if choice else 0.0) == float(text)


def test_most_calls_ask_nothing_of_the_variant():
    """No header, or one that any variant satisfies, costs the router nothing."""
    assert choice_of({}) is None
    assert choice_of({"Edgefn-Variant": "", "Edgefn-Min-Accuracy": "0"}) is None
    assert choice_of({"Edgefn-Variant": "onnx"}) == Choice(variant="onnx")
    both = {"Edgefn-Variant": "onnx", "Edgefn-Min-Accuracy": "0.9"}
    assert choice_of(both) == Choice(variant="onnx", min_accuracy=0.9)


@given(st.text())
def test_request_ids_are_always_fit_for_a_header(text):
    """Whatever a caller sends, what comes back is short, printable and without separators."""
    chosen = choose_request_id(text)
    assert chosen.isascii() and chosen.isprintable() and 0 < len(chosen) <= 128
    assert not set(chosen) & set(' "\\,;')


def test_made_request_ids_differ():
    """No two requests of a process have one id."""
    assert len({make_request_id() for _ in range(1000)}) == 1000


@given(st.text())
def test_media_types_are_plain_lower_case(text):
    """Parameters and spaces never reach a comparison."""
    assert media_type(text) == media_type(text).strip().lower()
    assert ";" not in media_type(text)


def test_the_priority_is_the_functions_unless_the_caller_has_one():
    """One digit."""
    assert priority_of({}, 5) == 5
    assert [priority_of({"Edgefn-Priority": str(digit)}, 5) for digit in range(10)] == [*range(10)]


@given(st.text(max_size=60))
def test_only_a_traceparent_is_one(told):
    """Anything else is ignored."""
    assert traceparent_of({"traceparent": told}) == ""
