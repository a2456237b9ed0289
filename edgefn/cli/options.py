"""Options that several verbs share."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Of the box; default: EDGEFN_URL, else http://127.0.0.1:8080."
    ),
]
Box = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Another box of the fleet, asked by way of the hub that is at the URL."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the function.")]
StateDir = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Where a box keeps its state; default: EDGEFN_STATE_DIR, else "
        "edgefn below XDG_STATE_HOME or ~/.local/state.",
    ),
]
