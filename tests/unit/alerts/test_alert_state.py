"""k of n, and hysteresis: when an alert is raised and when it is cleared."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from edgefn.alerts.state import AlertState, Change, Rule, step

SEEN = {"+": (True, False), "-": (False, True), ".": (False, False), "*": (True, True)}


def changes(rule: Rule, seen: Iterable[str]) -> list[tuple[int, Change]]:
    """Returns what changed with which answer; `+` speaks for it, `-` against, `.` neither."""
    state, found = AlertState(), []
    for number, one in enumerate(seen):
        holds, clears = SEEN[one]
        state, change = step(rule, state, holds=holds, clears=clears)
        if change is not None:
            found.append((number, change))
    return found


def test_one_of_one_follows_every_answer() -> None:
    """Without `for_`, what an answer says is so."""
    assert changes(Rule(1, 1), "-+.+-.+") == [(1, "raised"), (4, "cleared"), (6, "raised")]


def test_three_of_five_need_not_be_in_a_row() -> None:
    """The fifth answer still counts the first, the sixth does not."""
    assert changes(Rule(3, 5), "+.+.+") == [(4, "raised")]
    assert changes(Rule(3, 5), "+..+.+") == []


def test_between_the_thresholds_nothing_changes() -> None:
    """Neither `when` nor `clear` holds there."""
    assert changes(Rule(2, 3), "++.........") == [(1, "raised")]


def test_clearing_needs_as_many_answers_as_raising() -> None:
    """Those from before the change do not count."""
    assert changes(Rule(2, 3), "+++-+.-+-") == [(1, "raised"), (8, "cleared")]


@given(st.integers(1, 6), st.integers(0, 6), st.text("+-.*", max_size=60))
def test_it_changes_as_the_definition_says(needed: int, more: int, seen: str) -> None:
    """At k of the last n answers since the last change, and not before."""
    rule = Rule(needed, needed + more)
    raised, since, expected = False, 0, []
    for number in range(len(seen)):
        window = seen[max(since, number + 1 - rule.window) : number + 1]
        if sum(SEEN[one][raised] for one in window) >= needed:
            raised, since = not raised, number + 1
            expected.append((number, "raised" if raised else "cleared"))
    assert changes(rule, seen) == expected
