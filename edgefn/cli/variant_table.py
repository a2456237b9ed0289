"""Tables of variants: those that were kept, and all that were thought of."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.table import Table

from edgefn.cli import output
from edgefn.compress.outcome import Outcome
from edgefn.compress.results.wording import duration, estimate, size, snr

_STYLES = {"kept": "green", "refused": "red", "failed": "red"}


def kept_table(outcomes: Iterable[Outcome]) -> Table:
    """Returns what the bundle has, the preferred one first."""
    numbers = ("size", "p50", "p95", "accuracy", "agreement", "SNR")
    table = output.table("variant", *numbers, right=numbers)
    for each in outcomes:
        if each.state == "kept":
            table.add_row(each.name, *_numbers(each))
    return table


def explained_table(outcomes: Iterable[Outcome]) -> Table:
    """Returns all that was tried, skipped, refused or dropped, each with its reason."""
    numbers = ("size", "p50", "p95", "accuracy", "agreement", "SNR")
    table = output.table("variant", "", *numbers, "why", right=numbers)
    for each in outcomes:
        table.add_row(
            each.name,
            output.plain(each.state, _STYLES.get(each.state, "dim")),
            *_numbers(each),
            output.plain(each.reason or each.summary),
        )
    return table


def rest_of(outcomes: Sequence[Outcome]) -> str:
    """Returns in one line how many were left out; empty if none was."""
    counts = Counter(each.state for each in outcomes if each.state != "kept")
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{told}; --explain says why" if told else ""


def _numbers(outcome: Outcome) -> tuple[str, ...]:
    first = min(outcome.latencies, key=lambda each: each.batch) if outcome.latencies else None
    return (
        size(outcome.size_bytes),
        duration(first.p50_s) if first else "",
        duration(first.p95_s) if first else "",
        estimate(outcome.accuracy),
        estimate(outcome.agreement),
        snr(outcome),
    )
