"""Which revision a rollback goes back to."""

import pytest

from edgefn.box.rollback import RevisionRefused, rollback_target
from edgefn.box.state import RevisionRow, RevisionState
from edgefn.errors import NotDeployed


def history(*states: RevisionState) -> list[RevisionRow]:
    """Returns a history, newest first, from states, oldest first."""
    rows = [
        RevisionRow(
            name="f",
            number=number,
            digest="",
            state=state,
            reason="it broke" if state == "failed" else "",
            created_at="",
            note="",
        )
        for number, state in enumerate(states, 1)
    ]
    return rows[::-1]


def test_without_a_number_it_is_the_newest_that_served() -> None:
    """Failed ones in between are passed over."""
    rows = history("superseded", "superseded", "failed", "serving")
    assert rollback_target(rows, "f", 4, None).number == 2


def test_without_any_earlier_there_is_nothing_to_go_back_to() -> None:
    """Neither failed revisions nor removed ones count."""
    with pytest.raises(RevisionRefused, match="no revision of f served before"):
        rollback_target(history("removed", "failed", "serving"), "f", 3, None)


def test_a_number_may_be_any_that_served() -> None:
    """Not only the newest."""
    rows = history("superseded", "superseded", "serving")
    assert rollback_target(rows, "f", 3, 1).number == 1


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (3, RevisionRefused, "revision 3 of f serves already"),
        (2, RevisionRefused, "revision 2 of f never served: it broke"),
        (4, RevisionRefused, "revision 4 was removed with f, and its files too"),
        (9, NotDeployed, "f has no revision 9"),
    ],
)
def test_a_number_that_cannot_serve_is_refused(
    number: int, error: type[Exception], message: str
) -> None:
    """The message says why."""
    with pytest.raises(error, match=message):
        rollback_target(history("superseded", "failed", "serving", "removed"), "f", 3, number)
