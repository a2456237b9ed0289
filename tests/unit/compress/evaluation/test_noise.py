"""Signal-to-noise ratios of outputs."""

import math

import numpy as np
import pytest

from edgefn.compress.evaluation.noise import WORST_DB, is_never_finite, snr_db

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
        (np.full(2, np.nan), np.ones(2), None),
        (np.full(2, np.inf), np.full(2, np.inf), None),
    ],
)
def test_ends(given, variant, expected):
    """Equal, not finite, silent, not of floats, of another shape, and no signal at all."""
    assert snr_db([[[given]]], [[[variant]]]) == expected


def test_where_the_way_differs_nothing_is_compared():
    """A step with more runs of the model is left out, its neighbours are not."""
    given = [[[SIGNAL]], [[SIGNAL]]]
    variant = [[[SIGNAL], [SIGNAL]], [[SIGNAL * 1.1]]]
    assert snr_db(given, variant) == pytest.approx(20, abs=0.01)


def test_an_output_without_a_signal_hides_no_other():
    """The ratio is that of what can be compared."""
    nothing = np.full(2, np.nan)
    assert snr_db([[[nothing, SIGNAL]]], [[[nothing, SIGNAL * 1.1]]]) == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([np.full(2, np.nan), np.full(2, np.inf), np.ones(2, int)], True),
        ([np.full(2, np.nan), np.array([np.nan, 1.0])], False),
        ([np.ones(2, int)], False),
        ([np.zeros((0, 4))], False),
    ],
)
def test_a_model_that_gives_no_number_is_known(outputs, expected):
    """Integers and empty outputs are no floats that failed."""
    assert is_never_finite([[[output]] for output in outputs]) is expected
