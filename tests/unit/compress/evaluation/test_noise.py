"""Signal-to-noise ratios of outputs."""

import math

import numpy as np
import pytest

from edgefn.compress.evaluation.noise import WORST_DB, snr_db

SIGNAL = np.array([3.0, -4.0], np.float32)


def test_it_is_the_ratio_of_powers():
    """Noise of a tenth of the amplitude is 20 dB below; of several outputs the worst counts."""
    given = [[[SIGNAL, SIGNAL]], [[SIGNAL, SIGNAL]]]
    variant = [[[SIGNAL * 1.1, SIGNAL * 1.01]], [[SIGNAL * 0.9, SIGNAL * 0.99]]]
    assert snr_db(given, variant) == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize(
    ("given", "variant", "expected"),
    [
        (SIGNAL, SIGNAL, math.inf),
        (SIGNAL, np.array([np.nan, 1], np.float32), WORST_DB),
        (SIGNAL, SIGNAL * np.float32(1e30), WORST_DB),
        (np.zeros(2), np.ones(2), WORST_DB),
        (np.array([np.inf, 1.0]), np.array([5.0, 1.0]), math.inf),
        (np.array([1, 2]), np.array([2, 1]), None),
        (np.ones(2), np.ones(3), None),
    ],
)
def test_ends(given, variant, expected):
    """Equal, not finite, silent, not of floats, and of another shape."""
    assert snr_db([[[given]]], [[[variant]]]) == expected


def test_where_the_way_differs_nothing_is_compared():
    """A step with more runs of the model is left out, its neighbours are not."""
    given = [[[SIGNAL]], [[SIGNAL]]]
    variant = [[[SIGNAL], [SIGNAL]], [[SIGNAL * 1.1]]]
    assert snr_db(given, variant) == pytest.approx(20, abs=0.01)
