"""`edgefn status`."""

import msgspec
from rich.table import Table

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.fleet_table import fleet_tables, fleet_troubles
from edgefn.client.status import BoxStatus, FunctionStatus
from edgefn.desired.fleet import FleetStatus


def command(url: options.Url = None, box: options.Box = None, json: options.Json = False) -> None:
    """Shows a box, its gateways, functions and replicas; of a hub, its fleet as well."""
    with client.AdminClient(url, box=box) as admin:
        status = admin.status()
        fleet = admin.fleet() if status.is_hub and box is None else None
    if json:
        told = {} if fleet is None else {"fleet": fleet}
        output.print_json({**msgspec.structs.asdict(status), **told})
        return
    output.out.print(_box(status))
    _print_functions(status)
    if fleet is not None:
        _print_fleet(fleet)


def _print_functions(status: BoxStatus) -> None:
    if not status.functions:
        output.note("nothing is deployed; deploy with: edgefn deploy FOLDER")
        return
    output.out.print("", output.function_table(status.functions), sep="\n")
    output.out.print("", _replicas(status.functions), sep="\n")
    for function in status.functions:
        for sentence in _troubles(function):
            output.out.print(output.plain(sentence), style="yellow")


def _print_fleet(fleet: FleetStatus) -> None:
    ray = f", Ray at {fleet.ray}" if fleet.ray else ""
    output.out.print("", output.plain(f"fleet, revision {fleet.revision}{ray}", "bold"), sep="\n")
    for table in fleet_tables(fleet):
        output.out.print("", table, sep="\n")
    for sentence in fleet_troubles(fleet):
        output.out.print(output.plain(sentence), style="yellow")


def _box(status: BoxStatus) -> Table:
    grid = Table.grid(padding=(0, 2))
    gateways = ", ".join(
        f"{each.gateway} (process {each.pid}, {each.connections} connections)"
        for each in status.gateways
    )
    for label, value in (
        ("box", f"{status.box}, tier {status.tier}, edgefn {status.version}"),
        ("url", status.url),
        ("for others", status.secure_url or "no port"),
        ("started", f"{output.age(status.started_at)}, process {status.pid}"),
        ("state", status.state_dir),
        ("gateways", gateways),
    ):
        grid.add_row(output.plain(label, "dim"), output.plain(value))
    if status.places:
        grid.add_row(output.plain("peers", "dim"), output.places(status.places))
    return grid


def _replicas(functions: tuple[FunctionStatus, ...]) -> Table:
    made = output.table(
        "replica", "function", "variant", "state", "process", "started", "ongoing", "memory",
        right=("process", "ongoing", "memory"),
    )  # fmt: skip
    for function in functions:
        for replica in function.replicas:
            made.add_row(
                output.plain(replica.replica),
                function.name,
                replica.variant,
                output.state(replica.state),
                str(replica.pid),
                output.age(replica.started_at),
                str(replica.ongoing),
                output.size(replica.private_bytes),
            )
    return made


def _troubles(function: FunctionStatus) -> list[str]:
    sentences = []
    if function.reason and function.state != "elsewhere":
        sentences.append(f"{function.name} is {function.state}: {function.reason}")
    for variant in function.variants:
        if variant.state == "quarantined" and variant.reason != function.reason:
            sentences.append(
                f"{function.name}: variant {variant.name} is quarantined: {variant.reason}"
            )
    if function.last_death is not None:
        death = function.last_death
        sentences.append(
            f"{function.name}: deaths of replicas: {function.deaths}, the last "
            f"{output.age(death.at)}: {death.reason}"
        )
    return sentences
