"""`edgefn deploy`."""

import contextlib
from typing import Annotated

import typer

from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.reading import Reading
from edgefn.bundle.target import is_bundle, parse_target
from edgefn.cli import options


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="A folder with a function.py, or a .py file (with ::NAME for one function of it), "
            "or a .edgefn bundle.",
        ),
    ],
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Puts functions on a box. What fails leaves the old revision serving."""
    reading = _begin(targets[0])
    with reading or contextlib.nullcontext():
        # Only now: importing all that a deployment needs takes as long as reading the function.
        from edgefn.cli.deploying import deploy

        failed = deploy(targets, reading, url, json=json)
    if failed:
        raise typer.Exit(1)


def _begin(target: str) -> Reading | None:
    """Begins to read a target; what is wrong with it is said later, where it is built."""
    if is_bundle(target):
        return None
    with contextlib.suppress(BuildFailed):
        return Reading(parse_target(target).file)
    return None
