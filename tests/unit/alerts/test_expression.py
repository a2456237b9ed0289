"""The language of conditions: what it says, what it refuses, and that it never fails."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn_runtime.expression import InvalidExpression, parse, paths_of

ANSWER = {
    "score": 0.95,
    "label": "person",
    "muted": False,
    "boxes": [{"label": "cat", "size": [3, 4]}, {"label": "dog"}],
    "oil": {"temperature": 71, "per cent": 5},
    "scores": np.array([0.1, 0.9], dtype=np.float32),
    "nothing": None,
}


@pytest.mark.parametrize(
    "text",
    [
        "score > 0.9",
        "score > 0.9 and not muted",
        "0 < score <= 1 and score != 0.5",
        'label == "person" or missing > 1',
        'boxes[1].label == "dog"',
        "boxes[-1].label == 'dog'",
        "boxes[0].size[1] == 4",
        'oil.temperature >= 71 and oil["per cent"] < 6',
        "scores[1] > 0.89",
        "not (muted or score < -1)",
        "nothing == None and missing == None and boxes[7].label == None",
        "score > oil.missing or score > 0",
    ],
)
def test_a_condition_holds(text: str) -> None:
    """Fields, items, comparisons and their junctions mean what they mean in Python."""
    assert parse(text).holds(ANSWER)


@pytest.mark.parametrize(
    "text",
    [
        "score > 0.95",
        "missing > 0",
        "missing < 0",
        "label > 1",
        "scores > 0.5",
        "boxes.label == 'cat'",
        "label[0] == 'p'",
        "score.real > 0",
        "score",
        "label",
        "1 < score < 2",
    ],
)
def test_what_makes_no_sense_is_false(text: str) -> None:
    """Missing fields, other types, whole arrays: no error, and nothing of Python's objects."""
    assert not parse(text).holds(ANSWER)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__import__('os').system('true')", "is no condition"),
        ("score > f()", "is neither a field"),
        ("score + 1 > 2", "is neither a field"),
        ("score in (1, 2)", "compares in a way that is not known"),
        ("lambda: 1", "is no condition"),
        ("[x for x in boxes] == 1", "is neither a field"),
        ("boxes[score] > 1", "is no field"),
        ("boxes[0:1] == 1", "is no field"),
        ("boxes[True] == 1", "is no field"),
        ("1 < 2", "names no field"),
        ("True", "is no condition"),
        ("(score := 1) > 0", "is neither a field"),
        ("f'{score}' == '1'", "is neither a field"),
        ("score > b'1'", "is neither a field"),
        ("score >", "is no condition"),
        ("score > 1; 2", "is no condition"),
        ("", "is no condition"),
        ("not " * 25 + "muted", "is nested too deeply"),
        ("a" + ".b" * 25 + " > 1", "is nested too deeply"),
        ("(" * 240 + "muted" + ")" * 240, "is no condition"),
        ("score > " + "1" * 500, "characters; at most"),
    ],
)
def test_whatever_else_python_can_say_is_refused(text: str, reason: str) -> None:
    """The message quotes the part that is refused."""
    with pytest.raises(InvalidExpression, match=reason):
        parse(text)


def test_the_fields_that_a_condition_names_are_known() -> None:
    """Each once, in order, spelled in one way."""
    named = paths_of(parse('a.b > 1 and (c["d"][0] == a.b or not e)'))
    assert [str(path) for path in named] == ["a.b", "c.d[0]", "e"]


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """There is no other way out."""
    try:
        condition = parse(text)
    except InvalidExpression:
        return
    assert condition.holds({}) in (True, False)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_a_condition_never_fails(a: Any, b: Any) -> None:
    """Whatever the fields are."""
    for text in ("a > b", "a[0] < 1 and b.a == a", "a.b[0] != b or a >= 'x'", "not a or b[-1]"):
        assert parse(text).holds({"a": a, "b": b}) in (True, False)
