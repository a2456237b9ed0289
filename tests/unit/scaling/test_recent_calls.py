"""How many calls are to be expected soon."""

import pytest

from edgefn.scaling.recent_calls import WITHIN_S, RecentCalls


def test_a_steady_rate_is_expected_to_go_on() -> None:
    """As many as come in the time that is looked ahead."""
    recent = RecentCalls()
    for number in range(3000):
        recent.add(0.2 * number, 1)
    assert recent.expected(600.0) == pytest.approx(WITHIN_S / 0.2, rel=0.02)


def test_what_was_long_ago_is_expected_no_more() -> None:
    """Bit by bit."""
    recent = RecentCalls()
    recent.add(0.0, 10)
    seen = [recent.expected(now_s) for now_s in (0.0, 60.0, 600.0, 6e6)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 10.0
    assert seen[-1] == 0.0
