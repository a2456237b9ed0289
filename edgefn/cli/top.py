"""`edgefn top`."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.live import Live

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.rates import BoxRates, rates
from edgefn.cli.top_view import TopView
from edgefn.client.counts import BoxCounts
from edgefn.client.errors import ConnectionLost, Unreachable
from edgefn.errors import EdgefnError, TimedOut

_GONE = (ConnectionLost, TimedOut, Unreachable)

Every = Annotated[
    float,
    typer.Option("--every", "-n", min=0.2, max=3600.0, metavar="SECONDS", help="Between readings."),
]
Once = Annotated[bool, typer.Option("--once", help="Print one interval and end.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def command(
    every: Every = 1.0,
    once: Once = False,
    url: options.Url = None,
    box: options.Box = None,
    json: Json = False,
) -> None:
    """Shows what a box does, live; Ctrl-C ends it."""
    with client.AdminClient(url, box=box) as admin:
        try:
            if json or once:
                _print_all(admin, every, once=once, json=json)
            else:
                _watch(admin, every)
        except KeyboardInterrupt:
            return


def _print_all(admin: client.AdminClient, every: float, *, once: bool, json: bool) -> None:
    for measured in _measured(admin, every):
        if json:
            sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")
            sys.stdout.flush()
        else:
            output.out.print(TopView(admin.url, measured))
        if once:
            return


def _measured(admin: client.AdminClient, every: float) -> Iterator[BoxRates]:
    before = admin.counts()
    while True:
        time.sleep(every)
        now = admin.counts()
        yield rates(before, now)
        before = now


def _watch(admin: client.AdminClient, every: float) -> None:
    """Goes on when the box goes away, and says so, until it is back."""
    before: BoxCounts | None = admin.counts()
    shown: BoxRates | None = None
    live = Live(
        TopView(admin.url, None), console=output.out, screen=output.out.is_terminal,
        auto_refresh=False,
    )  # fmt: skip
    with live:
        while True:
            time.sleep(every)
            trouble = ""
            try:
                now = admin.counts()
                shown = rates(before, now) if before is not None else shown
                before = now
            except _GONE as error:
                trouble, before = _told(error), None
            live.update(TopView(admin.url, shown, trouble), refresh=True)


def _told(error: EdgefnError) -> str:
    return f"since {time.strftime('%H:%M:%S')}: {error.message}"
