"""`edgefn rollback`."""

from typing import Annotated

import typer

from edgefn import client
from edgefn.cli import options, output


def command(
    name: options.Name,
    revision: Annotated[
        int | None,
        typer.Argument(metavar="REVISION", help="Default: the newest earlier one that served."),
    ] = None,
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Goes back to an earlier revision."""
    with client.AdminClient(url) as admin:
        with output.spinner(f"starting {name}"):
            status = admin.rollback(name, revision)
        if json:
            output.print_json(status)
            return
        note = admin.history(name)[0].note
    suffix = f" ({note})" if note else ""
    output.out.print(output.plain(f"{name} serves revision {status.revision}{suffix}"))
