"""The Wisconsin breast-cancer data, and the one split that training and evaluation share."""

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

SPLIT_SEED = 20
HELD_OUT = 0.25


class Rows(NamedTuple):
    """Measurements (n, 30) as float32, and 1 for malignant, 0 for benign."""

    features: np.ndarray
    malignant: np.ndarray


def all_rows() -> Rows:
    """Return the 569 rows; scikit-learn calls malignant 0, which is turned round here."""
    data = load_breast_cancer()
    return Rows(data.data.astype(np.float32), (data.target == 0).astype(np.int64))


def split() -> tuple[Rows, Rows]:
    """Return the training rows and the held-out rows, which no training step may look at."""
    rows = all_rows()
    train_x, test_x, train_y, test_y = train_test_split(
        *rows, test_size=HELD_OUT, stratify=rows.malignant, random_state=SPLIT_SEED
    )
    return Rows(train_x, train_y), Rows(test_x, test_y)
