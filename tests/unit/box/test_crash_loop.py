"""Deaths, delays and quarantine against a fake clock."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.box.backoff import LONGEST_DELAY_S, Backoff
from edgefn.box.crash_loop import DEATHS, WITHIN_S, CrashLoop


def test_the_first_death_is_followed_by_a_start_at_once() -> None:
    """One death is an accident."""
    loop = CrashLoop()
    loop.died(10.0, "killed by SIGKILL")
    assert loop.may_start(10.0)


def test_further_deaths_delay_the_start_by_twice_as_much_each() -> None:
    """0.1, 0.2, 0.4 seconds: always within the second in which a replica is to be replaced."""
    loop = CrashLoop()
    loop.died(10.0, "x")
    for at_s, delay_s in ((11.0, 0.1), (12.0, 0.2), (13.0, 0.4)):
        loop.died(at_s, "x")
        assert not loop.may_start(at_s + delay_s - 0.01)
        assert loop.may_start(at_s + delay_s + 0.01)


def test_the_fifth_death_within_a_minute_is_the_last() -> None:
    """Then it is quarantined, and says why."""
    loop = CrashLoop()
    for at_s in (0.0, 14.0, 28.0, 42.0):
        loop.died(at_s, "killed by SIGKILL")
        assert not loop.quarantined_because
    loop.died(59.0, "killed by SIGSEGV")
    assert not loop.may_start(10_000.0)
    assert "5 replicas died within 60 s" in loop.quarantined_because
    assert "killed by SIGSEGV" in loop.quarantined_because


def test_the_reason_of_a_quarantine_stays_that_of_the_fifth_death() -> None:
    """Replicas that die afterwards do not change it."""
    loop = CrashLoop()
    for _ in range(DEATHS):
        loop.died(1.0, "the cause")
    loop.died(2.0, "an aftermath")
    assert "the cause" in loop.quarantined_because


@given(st.lists(st.floats(WITHIN_S / (DEATHS - 1), 1000.0), max_size=50))
def test_deaths_that_are_far_apart_never_quarantine(pauses_s: list[float]) -> None:
    """Five deaths in more than a minute are no loop."""
    loop, now_s = CrashLoop(), 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        loop.died(now_s, "x")
        assert not loop.quarantined_because
        assert loop.may_start(now_s + 1.0)


def test_children_that_die_at_once_are_restarted_ever_more_slowly() -> None:
    """At once the first time, then with doubling delays up to a bound."""
    backoff = Backoff()
    delays_s = [backoff.after(0.5) for _ in range(12)]
    assert delays_s[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays_s[-1] == LONGEST_DELAY_S
    assert delays_s == sorted(delays_s)


def test_a_steady_life_makes_the_delays_short_again() -> None:
    """A child that lived for long is restarted at once, and so is its successor."""
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(60.0) == 0.0
    assert backoff.after(0.1) == 0.0
