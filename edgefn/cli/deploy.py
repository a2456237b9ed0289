"""`edgefn deploy`."""

from typing import Annotated

import typer

from edgefn.cli import options, output
from edgefn.cli.deployment import Deployed, Steps, steps
from edgefn.cli.failure import print_failure
from edgefn.client.admin import AdminClient
from edgefn.client.errors import Unreachable
from edgefn.errors import EdgefnError, NotDeployed


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
    deployed: list[Deployed] = []
    failed = 0
    with AdminClient(url) as admin:
        with steps() as shown:
            for target in targets:
                failed += _deploy_target(admin, shown, target, deployed)
        if json:
            output.print_json({"deployed": deployed, "failed": failed})
        elif deployed:
            _print(deployed)
    if failed:
        raise typer.Exit(1)


def _deploy_target(admin: AdminClient, shown: Steps, target: str, deployed: list[Deployed]) -> int:
    """Deploys all functions of a target; returns how many failed."""
    try:
        bundles = shown.build(target)
    except EdgefnError as error:
        print_failure(error)
        return 1
    failed = 0
    for bundle in bundles:
        try:
            deployed.append(shown.deploy(admin, bundle))
        except Unreachable:
            raise
        except EdgefnError as error:
            failed += 1
            print_failure(error, subject=bundle.manifest.spec.name)
            output.note(what_serves(admin, bundle.manifest.spec.name))
    return failed


def what_serves(admin: AdminClient, name: str) -> str:
    """Returns a sentence on what a failed deployment left."""
    try:
        return f"revision {admin.function(name).revision} of {name} keeps serving"
    except NotDeployed:
        return f"{name} was not deployed before, and is not now"


def _print(deployed: list[Deployed]) -> None:
    table = output.table(
        "function",
        "revision",
        "variants",
        "replicas",
        "took",
        right=("revision", "replicas", "took"),
    )
    for each in deployed:
        function = each.function
        table.add_row(
            function.name,
            str(function.revision),
            ", ".join(variant.name for variant in function.variants),
            str(len(function.replicas)),
            f"{each.seconds:.2f} s",
        )
    output.out.print(table)
    output.note(f"call it with: edgefn call {deployed[-1].function.name} ...")
