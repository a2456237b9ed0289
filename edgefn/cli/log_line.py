"""How a line of a function's log looks."""

import sys

import msgspec
from rich.text import Text

from edgefn.cli.output import out
from edgefn.client.status import LogLine


def print_line(line: LogLine, *, json: bool = False, prefix: str = "") -> None:
    """Prints a line at once: its time of day, its replica, what was printed.

    Args:
        line: What to print.
        json: As one JSON object.
        prefix: Printed first, where several functions share the terminal.
    """
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
        return
    clock = line.at.partition("T")[2][:12]
    parts = " ".join(part for part in (clock, prefix, line.replica) if part)
    out.print(Text.assemble((parts, "dim"), "  ", line.text))
