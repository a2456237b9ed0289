"""The table of the candidates for a call."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.table import Table

from edgefn.cli import output
from edgefn.routing.explanation import Candidate

_Cell = Callable[[Candidate], str]


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


# Legs that no candidate has, and what was never measured, take no column.
_WHERE_ANY: Final[dict[str, tuple[Callable[[Candidate], object], _Cell]]] = {
    "net ms": (lambda one: one.network_ms, lambda one: _ms(one.network_ms)),
    "start ms": (lambda one: one.cold_ms, lambda one: _ms(one.cold_ms)),
    "wait ms": (lambda one: one.wait_ms, lambda one: _ms(one.wait_ms)),
}
_LAST: Final[dict[str, tuple[Callable[[Candidate], object], _Cell]]] = {
    "accuracy": (
        lambda one: one.accuracy is not None,
        lambda one: "" if one.accuracy is None else f"{one.accuracy:.4g}",
    ),
    "cost": (lambda one: one.cost, lambda one: f"{one.cost:.3g}"),
}
_ALWAYS: Final[dict[str, _Cell]] = {
    "run ms": lambda one: _ms(one.service_ms),
    "sum ms": lambda one: _ms(one.predicted_ms),
    "bound ms": lambda one: _ms(one.bound_ms),
    "in time": lambda one: f"{one.chance:.1%}",
}


def candidate_table(candidates: Sequence[Candidate]) -> Table:
    """Returns the candidates, one a line, in the order in which they come."""
    numbers: dict[str, _Cell] = {
        **_shown(_WHERE_ANY, candidates),
        **_ALWAYS,
        **_shown(_LAST, candidates),
        "score": lambda one: f"{one.score:.4g}",
    }
    table = output.table("variant", "where", *numbers, "", right=tuple(numbers))
    for one in candidates:
        chosen = not one.lost_because
        table.add_row(
            output.plain(one.variant, "bold green" if chosen else ""),
            output.plain(_where(one)),
            *(cell(one) for cell in numbers.values()),
            output.plain(one.lost_because or "chosen", "green" if chosen else "dim"),
        )
    return table


def _shown(
    columns: dict[str, tuple[Callable[[Candidate], object], _Cell]],
    candidates: Sequence[Candidate],
) -> dict[str, _Cell]:
    return {
        name: cell
        for name, (has, cell) in columns.items()
        if any(has(candidate) for candidate in candidates)
    }


def _where(one: Candidate) -> str:
    if one.place:
        return f"{one.place} ({one.tier})" if one.tier else one.place
    return one.endpoint or "not running"
