"""`edgefn device`."""

from typing import Annotated

import typer

from edgefn.cli import options, output
from edgefn.compress.device.machine import this_device
from edgefn.compress.device.profile import to_toml
from edgefn.config import settings


def command(
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of this machine; default: EDGEFN_NAME, else its own."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measures this machine, for about a second, and prints its profile as TOML.

    Save it in a file, and on another machine build for this one with: edgefn build --device FILE
    """
    device = this_device(settings(name=name).name)
    if json:
        output.print_json(device)
    else:
        output.out.print(output.plain(to_toml(device)), end="")
