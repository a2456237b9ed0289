"""`edgefn up`."""

import logging
import threading
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from edgefn import client
from edgefn.box import BoxConfig, run_box
from edgefn.cli import options, output
from edgefn.cli.box_process import LOG_FILE, BoxProcess
from edgefn.cli.joining import join_fleet, name_of, read_token
from edgefn.config import settings
from edgefn.errors import EdgefnError

HUB_LISTENS_AT: Final = "0.0.0.0:8443"


def command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Default 8080; 0: any free one.")
    ] = None,
    state_dir: options.StateDir = None,
    gateways: Annotated[
        int | None, typer.Option(metavar="N", help="Gateway processes; default 1.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Service class; default edge, of a hub cloud.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the box; default: the host's name.")] = None,
    site: Annotated[str | None, typer.Option(help="Where it stands.")] = None,
    hub: Annotated[
        bool,
        typer.Option("--hub", help="Be the hub of a fleet: others join, and reach it with TLS."),
    ] = False,
    join: Annotated[
        str | None, typer.Option(metavar="URL", help="Join the fleet of a hub.")
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With the join token; -: standard input; default: EDGEFN_JOIN_TOKEN.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where others reach it, with TLS and keys; default of a hub: 0.0.0.0:8443.",
        ),
    ] = None,
    tls_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="Name or address under which others reach it; repeatable."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate of your own for callers.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    insecure: Annotated[
        bool | None,
        typer.Option("--insecure", help="Allow an address that others reach, without keys or TLS."),
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="Be part of the fleet's Ray cluster; on a hub, its head.")
    ] = False,
    ray_host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="For Ray's ports; default: the one by which others reach it."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it is ready; it goes on alone.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Starts a box."""
    given = settings(
        host=host, port=port, state_dir=state_dir, gateways=gateways, tier=tier, name=name,
        insecure=insecure, site=site, listen=listen,
    )  # fmt: skip
    called = name_of(given.state_dir, name, given.name)
    if join is not None:
        join_fleet(join, read_token(token_file, given.join_token), called, given.state_dir)
    config = BoxConfig(
        state_dir=given.state_dir, host=given.host, port=given.port, gateways=given.gateways,
        tier=given.tier or ("cloud" if hub else "edge"), name=called, insecure=given.insecure,
        site=given.site, hub=hub,
        listen=given.listen or (HUB_LISTENS_AT if hub else ""), tls_names=tuple(tls_name or ()),
        tls_cert=tls_cert and tls_cert.absolute(), tls_key=tls_key and tls_key.absolute(),
        ray=ray, ray_host=ray_host or "",
    )  # fmt: skip
    if detach:
        _detach(config, json=json)
        return
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    raise typer.Exit(run_box(config, lambda url: _welcome(config, url, json=json)))


def _detach(config: BoxConfig, *, json: bool) -> None:
    with output.spinner("starting a box"):
        box = BoxProcess.start(config, outlives=True)
    log = config.state_dir / LOG_FILE
    if json:
        output.print_json({"pid": box.pid, "url": box.url, "log": str(log)})
        return
    output.out.print(output.plain(f"box up at {box.url}, process {box.pid}, log {log}"))
    output.note("stop it with: edgefn down")


def _welcome(config: BoxConfig, url: str, *, json: bool) -> None:
    if json:
        output.print_json({"url": url, "state_dir": str(config.state_dir)})
        return
    # Beside the box's own loop, which has to answer what this asks.
    threading.Thread(target=_print_banner, args=(config, url), daemon=True).start()


def _print_banner(config: BoxConfig, url: str) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(output.plain("edgefn box", "bold"), output.plain(url, "bold green"))
    grid.add_row("functions", output.plain(_functions(url)))
    grid.add_row("state", output.plain(str(config.state_dir)))
    grid.add_row("deploy", output.plain(f"edgefn deploy FOLDER{_url_option(url)}"))
    grid.add_row("stop", output.plain("Ctrl-C, or edgefn down"))
    output.out.print(grid)


def _functions(url: str) -> str:
    try:
        with client.AdminClient(url) as admin:
            names = [function.name for function in admin.functions()]
    except EdgefnError:  # a box on another address does not let us ask
        return "see edgefn ls"
    return ", ".join(names) or "none yet"


def _url_option(url: str) -> str:
    return "" if settings().url == url else f" --url {url}"
