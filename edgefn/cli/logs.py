"""`edgefn logs`."""

from typing import Annotated

import typer

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.log_line import print_line


def command(
    name: options.Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with every new line; Ctrl-C ends it.")
    ] = False,
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, metavar="N", help="Newest lines to begin with.")
    ] = 100,
    url: options.Url = None,
    box: options.Box = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Shows what a function printed."""
    with client.AdminClient(url, box=box) as admin:
        lines = admin.follow(name, last=last) if follow else admin.log_page(name, limit=last).lines
        empty = True
        for line in lines:
            print_line(line, json=json)
            empty = False
    if empty:
        output.note(f"{name} has printed nothing yet")
