"""What is kept for bursts that were seen."""

import pytest

from edgefn.scaling.headroom import KEPT, WITHIN_S, Headroom


def test_a_part_of_what_a_burst_needed_is_kept_for_the_next() -> None:
    """For a minute, beyond the rate of the moment, and it grows with its square root."""
    headroom = Headroom()
    assert headroom.push(0.0, 10.0, 4.0) == 10.0
    assert headroom.push(1.0, 4.0, 4.0) == pytest.approx(4.0 + KEPT * 6.0)
    assert headroom.push(2.0, 16.0, 16.0) == pytest.approx(16.0 + KEPT * 12.0)
    assert headroom.push(3.0 + WITHIN_S, 4.0, 4.0) == 4.0


def test_without_a_rate_there_is_nothing_to_keep() -> None:
    """An idle stream needs what it needs."""
    headroom = Headroom()
    headroom.push(0.0, 10.0, 4.0)
    assert headroom.push(1.0, 0.0, 0.0) == 0.0
