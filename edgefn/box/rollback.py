"""Which earlier revision of a function comes back. Pure."""

from edgefn.box.state import RevisionRow
from edgefn.errors import EdgefnError, NotDeployed


class RevisionRefused(EdgefnError):
    """A rollback to a revision that cannot serve."""

    code = "conflict"


def rollback_target(
    rows: list[RevisionRow], name: str, current: int, number: int | None
) -> RevisionRow:
    """Returns the line of a history to go back to.

    Args:
        rows: The history, newest first.
        name: Of the function.
        current: The revision that serves.
        number: The one that is wanted; None: the newest before the one that serves.

    Raises:
        NotDeployed: There is no such revision.
        RevisionRefused: It serves already, never did, or was removed.
    """
    if number is None:
        earlier = [row for row in rows if row.number < current and row.state == "superseded"]
        if not earlier:
            raise RevisionRefused(f"no revision of {name} served before the one that serves now")
        return earlier[0]
    for row in rows:
        if row.number != number:
            continue
        if number == current:
            raise RevisionRefused(f"revision {number} of {name} serves already")
        if row.state == "failed":
            raise RevisionRefused(f"revision {number} of {name} never served: {row.reason}")
        if row.state == "removed":
            raise RevisionRefused(
                f"revision {number} was removed with {name}, and its files too: deploy it again"
            )
        return row
    raise NotDeployed(f"{name} has no revision {number}; `edgefn history {name}` lists them")
