"""`edgefn rm`."""

import sys
from typing import Annotated

import typer

from edgefn import client
from edgefn.cli import options, output


def command(
    name: options.Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Takes a function off a box."""
    with client.AdminClient(url) as admin:
        if not yes:
            if not sys.stdin.isatty():
                raise typer.BadParameter("nobody is there to be asked; say --yes")
            typer.confirm(f"Take {name} off {admin.url}?", abort=True)
        with output.spinner(f"waiting for the calls of {name}"):
            admin.remove(name)
    if json:
        output.print_json({"removed": name})
    else:
        output.out.print(output.plain(f"{name} is gone from {admin.url}"))
