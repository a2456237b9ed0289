"""Answers against labels, and against other answers."""

from enum import Enum

import numpy as np
import pytest

from edgefn.compress.errors import InvalidData
from edgefn.compress.evaluation.answers import decided, matches


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("answer", "label", "equal"),
    [
        ({"word": "yes", "p": 0.7}, {"word": "yes"}, True),
        ({"word": "no", "p": 0.7}, {"word": "yes"}, False),
        ({"word": "yes", "n": 2}, {"word": "yes", "n": 3}, False),
        ({"colour": Colour.RED}, {"colour": "red"}, True),
        (3, np.int64(3), True),
        ("a", "a", True),
        (0.1 + 0.2, 0.3, True),
        ([1, 2], (1, 2), True),
        ([1, 2], [1], False),
        ({"mask": np.array([True, False])}, {"mask": [True, False]}, True),
        ({"box": {"x": 0.3, "n": 1}}, {"box": {"x": 0.30000001, "n": 1}}, True),
        ({"p": None}, {"p": 0.5}, False),
    ],
)
def test_a_label_names_what_counts(answer, label, equal):
    """A mapping the fields that it has, anything else the whole answer."""
    assert matches(answer, label) is equal


@pytest.mark.parametrize(
    ("answer", "label", "message"),
    [
        ({"p": 0.1, "word": "a"}, "a", r"name the field, as in {'word': 'a'}"),
        ({"word": "a"}, {"label": "a"}, r"has the fields \['label'\], but the answer has \['word'"),
        ("a", {"word": "a"}, "but the answer has no fields: 'a'"),
    ],
)
def test_a_label_that_fits_no_answer_is_refused(answer, label, message):
    """With what the answer has."""
    with pytest.raises(InvalidData, match=message):
        matches(answer, label)


def test_floats_decide_nothing():
    """Strings, integers, bools, and how many there are, do."""
    first = {"word": "a", "p": 0.7, "top": [{"n": 1, "p": 0.1}]}
    second = {"word": "a", "p": 0.6, "top": [{"n": 1, "p": 0.2}]}
    assert decided(first) == decided(second)
    assert decided(first) != decided({**first, "word": "b"})
    assert decided(first) != decided({**first, "top": []})
    assert decided({"p": np.ones(3, np.float32)}) == ({"p": ["a float"] * 3}, False)
    assert decided({"p": 0.1, "flag": True})[1]
