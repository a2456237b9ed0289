"""Rows as they are drawn, split and known."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pytest

from edgefn import Audio, Image
from edgefn.compress.errors import InvalidData
from edgefn.compress.evaluation.rows import Data, Row, draw, split


def drawn(items, limit=100):
    return draw(items, limit, "evaluate='e.py:s'", lambda count: None)


def digest(*inputs, label=None) -> str:
    rows = [Row({"x": value}, label) for value in inputs]
    return Data(evaluation=rows, calibration=[], labelled=label is not None).digest()


def test_rows_have_labels_or_none():
    """A pair is inputs and a label, a mapping is inputs alone; a generator is not exhausted."""
    counts = []
    endless = ({"x": number} for number in iter(int, 1))
    rows, labelled = draw(endless, 5, "e", counts.append)
    assert (len(rows), labelled, counts) == (5, False, [1, 2, 3, 4, 5])
    rows, labelled = drawn([({"x": 1}, None), ({"x": 2}, "b")])
    assert labelled and rows[1] == Row({"x": 2}, "b")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "it yields no rows"),
        ([{"x": 1}, 7], "row 2 is a int; a mapping"),
        ([(1, 2)], "row 1 is a pair whose first is a int"),
        ([({"x": 1}, 2, 3)], "row 1 is a tuple of 3"),
        ([{1: 2}], "row 1 is a dict"),
        ([{"x": 1}, ({"x": 1}, "a")], "1 of 2 rows have a label"),
    ],
)
def test_anything_else_is_refused(items, message):
    """By the number of the row, and with what was expected."""
    with pytest.raises(InvalidData, match=message) as caught:
        drawn(items)
    assert caught.value.message.startswith("evaluate='e.py:s': ")


def test_a_quarter_is_set_aside():
    """The same one each time, of all classes where they take turns."""
    rows = [Row({"x": number}, number % 4) for number in range(400)]
    data = split(rows, True, None)
    assert (len(data.evaluation), len(data.calibration)) == (300, 100)
    assert {row.label for row in data.calibration} == {0, 1, 2, 3}
    assert data == split(rows, True, None)
    own = split(rows, True, rows[:3])
    assert (len(own.evaluation), len(own.calibration)) == (400, 3)
    with pytest.raises(InvalidData, match="one row only"):
        split(rows[:1], True, None)


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: float


VALUES = [
    None, True, 1, 1.0, "1", b"1", [1], [[1]], {"a": 1}, {"b": 1}, np.int64(1), np.float32(1),
    np.ones(2), np.ones((2, 1)), np.ones(2, np.float32), Colour.RED, Point(1.0), Point(2.0),
    Image(np.zeros((2, 2), np.uint8)), Audio(np.zeros(4, np.float32), 8000),
    Audio(np.zeros(4, np.float32), 16000),
]  # fmt: skip


def test_the_digest_tells_data_apart():
    """Values, their types and shapes, labels, and what is for calibration."""
    digests = {digest(value) for value in VALUES}
    assert len(digests) == len(VALUES)
    assert digest(1, 2) != digest(2, 1)
    assert digest(1, label="a") != digest(1, label="b")
    rows = [Row({"x": 1}), Row({"x": 2})]
    first = Data(evaluation=rows, calibration=[], labelled=False)
    second = Data(evaluation=rows[:1], calibration=rows[1:], labelled=False)
    assert first.digest() != second.digest()


def test_the_digest_is_that_of_the_values():
    """Not of objects, nor of the order of a mapping."""
    assert digest({"a": 1, "b": np.ones(2)}) == digest({"b": np.ones(2), "a": 1})
    with pytest.raises(InvalidData, match="a value of type object"):
        digest(object())
