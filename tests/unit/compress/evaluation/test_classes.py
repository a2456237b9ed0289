"""What labels mean to a model."""

import numpy as np
import pytest

from edgefn.compress.evaluation.classes import classes_of


def scores(*classes: int, of: int = 3) -> list[np.ndarray]:
    return [np.eye(of, dtype=np.float32)[[each]] for each in classes]


def test_a_label_means_what_the_model_most_often_answers() -> None:
    """Its mistakes are seen as such; a label may be anything that can be compared."""
    labels = [{"word": "yes"}, {"word": "no"}, {"word": "yes"}, {"word": "yes"}, {"word": "no"}]
    assert classes_of(labels, scores(2, 0, 2, 1, 0)) == [2, 0, 2, 2, 0]


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        (["a", "b"], scores(1, 1)),
        (["a", "a"], scores(0, 1)),
        (["a", "b"], scores(0)),
        (["a"], [np.zeros((1, 1), np.float32)]),
        (["a"], [np.zeros((2, 3), np.float32)]),
        (["a"], [np.zeros((1, 3), np.int64)]),
    ],
)
def test_what_is_not_clear_is_not_guessed(labels: list[str], answers: list[np.ndarray]) -> None:
    """Two labels of one class, a label of two, or answers that are no scores of one row."""
    assert classes_of(labels, answers) == []
