"""Builds targets, deploys them one after the other, and says what became of each."""

from collections.abc import Sequence

from edgefn.bundle.reading import Reading
from edgefn.cli import output
from edgefn.cli.deployment import Deployed, Steps, steps
from edgefn.cli.failure import print_failure
from edgefn.client.admin import AdminClient
from edgefn.client.errors import Unreachable
from edgefn.errors import EdgefnError, NotDeployed


def deploy(targets: Sequence[str], first: Reading | None, url: str | None, *, json: bool) -> int:
    """Deploys targets; returns how many functions failed.

    Args:
        targets: As the user named them.
        first: Of the first target's file, if it was begun.
        url: Of the box, if it was named.
        json: Whether what came of it is printed as JSON.
    """
    deployed: list[Deployed] = []
    failed = 0
    with AdminClient(url) as admin:
        with steps() as shown:
            for number, target in enumerate(targets):
                reading = None if number else first
                failed += _deploy_target(admin, shown, target, reading, deployed)
        if json:
            output.print_json({"deployed": deployed, "failed": failed})
        elif deployed:
            _print(deployed)
    return failed


def _deploy_target(
    admin: AdminClient,
    shown: Steps,
    target: str,
    reading: Reading | None,
    deployed: list[Deployed],
) -> int:
    """Deploys all functions of a target; returns how many failed."""
    try:
        bundles = shown.build(target, reading)
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
