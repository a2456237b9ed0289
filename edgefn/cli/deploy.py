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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a Ray cluster that this machine is one of, or auto: first sees to it that a "
            "box runs on each of its machines.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Puts functions on a box, or a fleet. What fails leaves the old revision serving."""
    if to is not None and url is not None:
        raise ConfigError("--to and --url both say where functions go: give one of them")
    if ray is not None:
        url = _hub_of(ray, to or url)
    reading = _begin(targets[0])
    with reading or contextlib.nullcontext():
        # Only now: importing all that a deployment needs takes as long as reading the function.
        from edgefn.cli.deploying import deploy

        failed = deploy(targets, reading, url or to, json=json)
    if failed:
        raise typer.Exit(1)
    if to is not None and not json:
        from edgefn.cli.output import note

        note(f"the boxes of the fleet fetch it now: edgefn status --url {to}")


def _hub_of(cluster: str, named: str | None) -> str:
    """Returns the URL of the hub of a Ray cluster, each machine of which has a box then."""
    from edgefn.cli.ray_machines import boxes_on

    prepared = boxes_on(cluster)
    if named is None and not prepared.url:
        raise ConfigError(
            f"all its machines have a box, and the hub is at {prepared.secure_url}: deploy on the "
            f"machine of Ray's head, or with a key and --to {prepared.secure_url}"
        )
    return named or prepared.url


def _begin(target: str) -> Reading | None:
    """Begins to read a target; what is wrong with it is said later, where it is built."""
    if is_bundle(target):
        return None
    with contextlib.suppress(BuildFailed):
        return Reading(parse_target(target).file)
    return None
