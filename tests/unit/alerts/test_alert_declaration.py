"""`on_result=`: what is filled in, and what is refused at import."""

from typing import Any

import pydantic
import pytest

from edgefn import Alert, DeclarationError, Tensor, edge_function
from edgefn_runtime.manifest import FunctionSpec, decode_manifest

HOOK = "webhook:https://receiver/events"


class Part(pydantic.BaseModel):
    size: int
    tags: dict[str, float] = {}


class Seen(pydantic.BaseModel):
    score: float
    label: str
    muted: bool = False
    parts: list[Part] = []
    first: Part | None = None
    pair: tuple[int, str] = (0, "")
    scores: Tensor["float32", 2]
    more: Any = None


def declare(answer: Any = Seen, **alert: Any) -> FunctionSpec:
    """Returns the spec of a function with one alert."""

    def watch(x: float): ...

    watch.__annotations__["return"] = answer
    return edge_function(on_result=Alert(**{"to": HOOK, **alert}))(watch).spec


def test_the_rest_of_an_alert_is_filled_in() -> None:
    """A spec leaves nothing open, and a spec without alerts says nothing of them."""
    (alert,) = declare(when=" score > 0.9 ").on_result
    assert alert == Alert(when="score > 0.9", to=(HOOK,), for_="1 of 1", clear=None, name="alert")
    assert declare(when="score > 0.9", for_="3  of 5").on_result[0].for_ == "3 of 5"


@pytest.mark.parametrize(
    "when",
    [
        "parts[0].size > 3 and first.tags.red < 0.5",
        "first == None or muted",
        "pair[0] > 1 and pair[1] == 'x'",
        "more.whatever[3].else > 1",
        "label == 'a' and score >= 0",
    ],
)
def test_conditions_name_fields_of_the_answer(when: str) -> None:
    """Through lists, optional parts, dictionaries and whatever the schema leaves open."""
    assert declare(when=when.replace("else", "other")).on_result


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("scor > 0.9", "the answer has no 'scor'; did you mean score"),
        ("parts[0].sice > 0.9", r"parts\[0\] has no 'sice'; did you mean size"),
        ("parts.size > 0.9", "parts has no 'size'"),
        ("score[0] > 0.9", "score has no 0"),
        ("pair[2] == 1", "pair has no 2"),
        ("score > 'high'", r"score \(number\) and 'high' \(string\) cannot be compared with >"),
        ("label == 3", "cannot be compared with =="),
        ("muted > 0", "cannot be compared with >"),
        ("parts == None", "cannot be compared"),
        ("score", "score is not true or false; compare it"),
        ("score > 0.9 if muted else 1", "is no condition"),
    ],
)
def test_a_condition_that_could_never_hold_is_refused(when: str, message: str) -> None:
    """With the field that was meant, or the types that do not go together."""
    with pytest.raises(DeclarationError, match=message):
        declare(when=when)


def test_an_answer_without_fields_is_called_result() -> None:
    """As in the Open Inference Protocol."""
    assert declare(float, when="result > 0.9").on_result
    assert declare(list[int], when="result[0] > 1").on_result
    with pytest.raises(DeclarationError, match="there are result"):
        declare(float, when="score > 0.9")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"for_": "3"}, '"k of n"'),
        ({"for_": "6 of 5"}, '"k of n"'),
        ({"for_": "1 of 101"}, '"k of n"'),
        ({"clear": "scor < 1"}, "has no 'scor'"),
        ({"clear": 3}, "clear=3 is no string"),
        ({"to": ()}, "neither a destination nor a list"),
        ({"to": [HOOK, HOOK]}, "different"),
        ({"to": "mail:me@home"}, 'write "webhook:https://host/path"'),
        ({"to": "webhook:ftp://host"}, "is no destination"),
        ({"to": "mqtt://host"}, "write mqtt://host/topic"),
        ({"to": "mqtt://host/a/#"}, "no wildcards"),
        ({"to": "file:/etc/passwd"}, "plain relative path"),
        ({"to": "file:../x"}, "plain relative path"),
        ({"name": "An Alert"}, "cannot be the name"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], message: str) -> None:
    """With what to write instead, at import."""
    with pytest.raises(DeclarationError, match=message):
        declare(when="score > 0.9", **options)


def test_alerts_of_a_function_have_names_of_their_own() -> None:
    """Given or made up; what is neither alert nor list is refused."""
    two = [Alert(when="result > 1", to=HOOK), Alert(when="result > 2", to=HOOK)]

    @edge_function(on_result=two)
    def watch(x: float) -> float:
        return x

    assert [alert.name for alert in watch.spec.on_result] == ["alert", "alert-2"]
    for wrong, message in (
        ([*two, Alert(when="result > 3", to=HOOK, name="alert")], "two alerts of one name"),
        ("score > 1", "is no alert"),
        (two * 9, "at most 16"),
    ):
        with pytest.raises(DeclarationError, match=message):
            edge_function(on_result=wrong)(watch.wrapped)


def test_alerts_travel_in_the_manifest(make_manifest: Any) -> None:
    """And a manifest without any has the bytes that it always had."""
    alerts = declare(when="score > 0.9", for_="3 of 5").on_result
    manifest = make_manifest(FunctionSpec(name="watch", on_result=alerts))
    assert decode_manifest(manifest.encode()) == manifest
    assert b'"for":"3 of 5"' in manifest.encode()
    assert b"on_result" not in make_manifest(FunctionSpec(name="watch")).encode()
