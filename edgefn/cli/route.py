"""`edgefn route`."""

import re
from typing import Annotated, Final

import typer

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.route_table import candidate_table

command = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    no_args_is_help=True,
)  # fmt: skip

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kM]?)(?:i?B)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2}


def size_bytes(text: str) -> int:
    """Returns a size as people write it, like `50k`, in bytes.

    Raises:
        typer.BadParameter: It is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text[:40]!r} is no size: say 2000, 50k or 1.5M")
    return int(float(found[1]) * _UNITS[found[2].lower()])


@command.callback()
def _route() -> None:
    pass


@command.command(short_help="Show each candidate for a call now, and why it lost.")
def explain(
    name: options.Name,
    deadline_ms: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="MS", help="Of the call; default: the function's own."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            parser=size_bytes, metavar="BYTES", help="Of its body, as in 2000, 50k or 1.5M."
        ),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=9, metavar="0-9", help="Default: the function's own.")
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Least accuracy that it asks for."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="The only one that it takes.")
    ] = None,
    url: options.Url = None,
    box: options.Box = None,
    json: options.Json = False,
) -> None:
    """Show each candidate for a call now: its predicted legs, its score, why it lost."""
    with client.AdminClient(url, box=box) as admin:
        explanation = admin.explain(
            name, deadline_ms=deadline_ms, size_bytes=size, priority=priority,
            min_accuracy=min_accuracy, variant=variant,
        )  # fmt: skip
    if json:
        output.print_json(explanation)
        return
    if explanation.budget_ms is None:
        budget = "no deadline"
    else:
        budget = f"{output.milliseconds(explanation.budget_ms)} left"
    output.out.print(
        output.plain(f"{explanation.function}: {budget}, by {explanation.objective}", "bold")
    )
    output.out.print(output.plain(explanation.decision))
    if explanation.candidates:
        output.out.print("", candidate_table(explanation.candidates), sep="\n")
