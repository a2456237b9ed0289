"""Which class of a model a label means, learned from the model's own answers.

Labels are in the words of a function, as in `{"word": "yes"}`; a model has classes by number.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefn.compress.evaluation.answers import plain

Array = np.ndarray[Any, Any]


def classes_of(labels: Sequence[Any], scores: Sequence[Array]) -> list[int]:
    """Returns the class of each label: the one that most rows with this label are given.

    Args:
        labels: Of each row.
        scores: What the model answers to each.

    Returns:
        Nothing where that is not clear: an answer is not one row of scores, no class is given to
        most rows of a label, or one class to those of two labels.
    """
    if len(labels) != len(scores) or not all(map(_is_one_row, scores)):
        return []
    words = [repr(plain(label)) for label in labels]
    given: dict[str, Counter[int]] = {}
    for word, answer in zip(words, scores, strict=True):
        given.setdefault(word, Counter())[int(answer.argmax())] += 1
    meant = {word: counts.most_common(1)[0] for word, counts in given.items()}
    if any(2 * votes <= given[word].total() for word, (_, votes) in meant.items()):
        return []
    if len({found for found, _ in meant.values()}) < len(meant):
        return []
    return [meant[word][0] for word in words]


def _is_one_row(scores: Array) -> bool:
    return scores.dtype.kind == "f" and scores.ndim == 2 and len(scores) == 1 and scores.size > 1
