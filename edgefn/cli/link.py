"""`edgefn link`."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edgefn.cli import options, output
from edgefn.emulation.client import find_session
from edgefn.emulation.messages import Change, LinkStatus, Order, Show
from edgefn.emulation.quantities import duration_s, rate_bps, say_duration, say_rate, share
from edgefn.errors import ConfigError

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def quantity(parse: Callable[[str], float]) -> Callable[[str | None], str | None]:
    """Returns a check of an option: that it can be parsed, if it is given."""

    def check(text: str | None) -> str | None:
        if text is not None:
            try:
                parse(text)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error
        return text

    return check


Rtt = Annotated[
    str | None,
    typer.Option(metavar="TIME", callback=quantity(duration_s), help="Round trip, as in 60ms."),
]
Jitter = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", callback=quantity(duration_s), help="Most that is added to it by chance."
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(metavar="SHARE", callback=quantity(share), help="Of segments, as in 1%."),
]
Rate = Annotated[
    str | None,
    typer.Option(
        metavar="RATE", callback=quantity(rate_bps), help="Each way, as in 20mbit; 0: no limit."
    ),
]
_Link = Annotated[
    str,
    typer.Argument(
        metavar="LINK", help="As in edge-1:cloud-1; the name of a box: all of its links."
    ),
]
_Session = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Of the session; default: the only one that runs."),
]


@command.command()
def ls(session: _Session = None, json: options.Json = False) -> None:
    """Lists the emulated links of a session of `edgefn dev --topology`."""
    _carry_out(Show(), session, json=json)


@command.command("set")
def change(
    link: _Link,
    rtt: Rtt = None,
    jitter: Jitter = None,
    loss: Loss = None,
    rate: Rate = None,
    session: _Session = None,
    json: options.Json = False,
) -> None:
    """Changes what a link is like; calls that run notice at once."""
    if rtt is jitter is loss is rate is None:
        raise ConfigError("nothing to change: give --rtt, --jitter, --loss or --rate")
    asked = Change(
        link=link,
        rtt_s=None if rtt is None else duration_s(rtt),
        jitter_s=None if jitter is None else duration_s(jitter),
        loss=None if loss is None else share(loss),
        rate_bps=None if rate is None else rate_bps(rate),
    )
    _carry_out(asked, session, json=json)


@command.command()
def cut(link: _Link, session: _Session = None, json: options.Json = False) -> None:
    """Cuts a link: nothing gets through, and neither side is told."""
    _carry_out(Change(link=link, cut=True), session, json=json)


@command.command()
def restore(link: _Link, session: _Session = None, json: options.Json = False) -> None:
    """Restores a link that was cut."""
    _carry_out(Change(link=link, cut=False), session, json=json)


def _carry_out(order: Order, session: Path | None, *, json: bool) -> None:
    links = find_session(session).ask(order)
    if json:
        output.print_json({"links": links})
    else:
        output.out.print(link_table(links))


def link_table(links: Iterable[LinkStatus]) -> Table:
    """Returns links, one a line."""
    made = output.table("link", "state", "round trip", "jitter", "loss", "rate", "connections")
    for link in links:
        now = link.conditions
        made.add_row(
            link.name,
            output.plain("cut", "red") if now.cut else output.plain("up", "green"),
            say_duration(now.rtt_s),
            say_duration(now.jitter_s),
            f"{now.loss:.3g}" if 0 < now.loss < 0.001 else f"{now.loss:.1%}",
            say_rate(now.rate_bps),
            str(link.connections),
        )
    return made
