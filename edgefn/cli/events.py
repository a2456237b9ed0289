"""`edgefn events`."""

import sys
import time
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from edgefn import client
from edgefn.cli import options, output
from edgefn.client.events import AcceptedEvent, EventsStatus

FOLLOW_S: Final = 0.5

command = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    no_args_is_help=True,
)  # fmt: skip


@command.callback()
def _events() -> None:
    pass


@command.command()
def ls(url: options.Url = None, box: options.Box = None, json: options.Json = False) -> None:
    """Show what waits for each destination, the last error, and the alerts that are raised."""
    with client.AdminClient(url, box=box) as admin:
        status = admin.events()
    if json:
        output.print_json(status)
    else:
        _print_status(status)


@command.command()
def tail(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with every new event; Ctrl-C ends it.")
    ] = False,
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, max=256, metavar="N", help="Newest ones first.")
    ] = 20,
    url: options.Url = None,
    box: options.Box = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the newest events that the box accepted, delivered or not."""
    with client.AdminClient(url, box=box) as admin:
        events, seen = admin.events_tail(limit=last), 0
        while True:
            for event in events:
                _print_event(event, json=json)
                seen = event.number
            if not follow:
                break
            time.sleep(FOLLOW_S)
            events = admin.events_tail(after=seen, limit=256)


@command.command()
def drop(
    to: Annotated[str, typer.Argument(metavar="DESTINATION", help="As `edgefn events ls` has it.")],
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Forget all that waits for a destination. Nothing else ever drops an event."""
    with client.AdminClient(url) as admin:
        dropped = admin.drop_events(to)
    if json:
        output.print_json({"dropped": dropped})
    else:
        output.note(f"dropped {dropped} events for {to}")


def _print_status(status: EventsStatus) -> None:
    if not status.destinations:
        output.note("no event waits, and none was delivered since the box started")
    else:
        made = output.table("destination", "waiting", "size", "oldest", "delivered", "last error",
                            right=("waiting", "size", "delivered"))  # fmt: skip
        for one in status.destinations:
            made.add_row(
                output.plain(one.to),
                str(one.waiting),
                output.size(one.waiting_bytes),
                output.age(one.oldest_at) if one.oldest_at else "",
                str(one.delivered),
                output.plain(one.last_error, "yellow"),
            )
        output.out.print(made)
    for alert in status.raised:
        at = f" at {alert.source}" if alert.source else ""
        sentence = f"{alert.alert} of {alert.function} is raised{at}"
        output.out.print(output.plain(sentence), style="yellow")


def _print_event(event: AcceptedEvent, *, json: bool) -> None:
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()
        return
    clock = event.at.partition("T")[2][:12]
    head = " ".join(part for part in (clock, event.source, ", ".join(event.to)) if part)
    output.out.print(Text.assemble((head, "dim"), "  ", bytes(event.data).decode()))
