"""How commands print: people get tables, scripts get JSON."""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from edgefn.client.counts import PlaceStatus
from edgefn.client.status import FunctionStatus

_PIPE_COLUMNS: Final = 200  # nobody's window: do not break lines that a program will read
out: Final = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
err: Final = Console(
    highlight=False, stderr=True, width=None if sys.stderr.isatty() else _PIPE_COLUMNS
)

# What terminals obey. Line ends and tabs are text.
_HARMLESS: Final = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(0x20), *range(0x7F, 0xA0))
    if chr(code) not in "\n\t"
}

STATE_STYLES: Final = {
    "serving": "green",
    "up": "green",
    "default": "green",
    "ready": "green",
    "met": "green",
    "starting": "yellow",
    "draining": "yellow",
    "pending": "yellow",
    "expected": "yellow",
    "superseded": "dim",
    "removed": "dim",
    "unavailable": "dim",
    "elsewhere": "dim",
    "quarantined": "red",
    "failed": "red",
    "lost": "red",
    "missed": "red",
}


def print_json(value: Any) -> None:
    """Prints a value as indented JSON, arrays as lists."""
    encoded = msgspec.json.encode(value, enc_hook=_spell)
    # As bytes: JSON is UTF-8, whatever the terminal's encoding is.
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.format(encoded, indent=2) + b"\n")
    sys.stdout.buffer.flush()


def _spell(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Returns an empty table; the columns named in `right` are numbers."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        is_number = column in right
        made.add_column(column, justify="right" if is_number else "left", no_wrap=is_number)
    return made


def state(name: str) -> Text:
    """Returns the name of a state in its colour."""
    return plain(name, STATE_STYLES.get(name, ""))


def note(message: str | RenderableType) -> None:
    """Prints beside the output, on standard error, what a script does not want to read."""
    err.print(plain(message) if isinstance(message, str) else message, style="dim")


def age(instant: str, now: datetime | None = None) -> str:
    """Returns how long ago an ISO 8601 instant was, in one unit; as it came if it is none."""
    try:
        then = datetime.fromisoformat(instant)
    except ValueError:
        return instant
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for length_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def size(count: int) -> str:
    """Returns a number of bytes in the unit that fits."""
    if count >= 1 << 20:
        return f"{count / (1 << 20):.1f} MiB"
    if count >= 1 << 10:
        return f"{count / (1 << 10):.0f} KiB"
    return f"{count} B"


def milliseconds(value: float) -> str:
    """Returns a duration in ms with three significant digits."""
    return f"{value:.3g} ms" if value < 1000 else f"{value:.0f} ms"


def plain(text: str, style: str = "") -> Text:
    """Returns text in which nothing is markup or moves a terminal's cursor, whoever wrote it."""
    return Text(text.translate(_HARMLESS), style=style)


def places(peers: Iterable[PlaceStatus]) -> Text:
    """Returns peers in a line: where they are, how far, and what is under way there."""
    told = Text()
    for peer in peers:
        told.append(", " if told else "")
        told.append(f"{peer.name} ({peer.tier}) ", "" if peer.up else "red")
        if peer.up:
            told.append(f"{milliseconds(peer.rtt_ms)}, {peer.calls} calls", "dim")
        else:
            told.append("is down", "red")
    return told


def spinner(message: str) -> AbstractContextManager[Any]:
    """Shows on a terminal that something is under way."""
    return err.status(plain(message, "dim")) if err.is_terminal else nullcontext()


def function_table(functions: Iterable[FunctionStatus]) -> Table:
    """Returns the functions of a box, one a line."""
    made = table(
        "function", "revision", "state", "variants", "replicas", "calls", "errors", "misses",
        right=("revision", "replicas", "calls", "errors", "misses"),
    )  # fmt: skip
    for each in functions:
        ready = sum(replica.state == "ready" for replica in each.replicas)
        starting = sum(replica.state == "starting" for replica in each.replicas)
        leases = sum(variant.leases for variant in each.variants)
        replicas = f"{ready} + {starting} starting" if starting else str(ready)
        made.add_row(
            each.name,
            str(each.revision),
            state(each.state),
            ", ".join(variant.name for variant in each.variants),
            f"{replicas}, {leases} leased" if leases else replicas,
            str(each.calls),
            str(each.errors),
            str(each.misses),
        )
    return made
