"""`edgefn deploy`."""

import contextlib
from typing import Annotated

import typer

from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.reading import Reading
from edgefn.bundle.target import is_bundle, parse_target
from edgefn.cli import options
from edgefn.errors import ConfigError


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="A folder with a function.py, or a .py file (with ::NAME for one function of it), "
            "or a .edgefn bundle.",
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of the hub whose fleet is to serve them; as --url."),
    ] = None,
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Puts functions on a box, or a fleet. What fails leaves the old revision serving."""
    if to is not None and url is not None:
        raise ConfigError("--to and --url both say where functions go: give one of them")
    reading = _begin(targets[0])
    with reading or contextlib.nullcontext():
        # Only now: importing all that a deployment needs takes as long as reading the function.
        from edgefn.cli.deploying import deploy

        failed = deploy(targets, reading, to or url, json=json)
    if failed:
        raise typer.Exit(1)
    if to is not None and not json:
        from edgefn.cli.output import note

        note(f"the boxes of the fleet fetch it now: edgefn status --url {to}")


def _begin(target: str) -> Reading | None:
    """Begins to read a target; what is wrong with it is said later, where it is built."""
    if is_bundle(target):
        return None
    with contextlib.suppress(BuildFailed):
        return Reading(parse_target(target).file)
    return None
