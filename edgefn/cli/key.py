"""`edgefn key`."""

import os
from typing import Annotated

import typer

from edgefn.box.trust import TrustList
from edgefn.bundle.keys import (
    config_dir,
    fingerprint,
    is_public_key,
    new_key,
    own_key,
    read_public_key,
)
from edgefn.cli import access_keys, options, output
from edgefn.config import settings
from edgefn.errors import ConfigError

command = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


def _public_key(text: str) -> str:
    if not is_public_key(text):
        raise typer.BadParameter(
            f"{text[:80]!r} is not a public key: 64 hex digits, as `edgefn key` shows them"
        )
    return text


Public = Annotated[
    str,
    typer.Argument(metavar="PUBLIC", callback=_public_key, help="As `edgefn key` shows it."),
]


@command.callback()
def own(context: typer.Context, json: options.Json = False) -> None:
    """Shows the public key that signs your bundles; makes one if there is none."""
    if context.invoked_subcommand is None:
        _show(own_key(config_dir(os.environ)).public, json=json)


@command.command()
def new(
    force: Annotated[
        bool, typer.Option("--force", help="Give up the key that there is, if there is one.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Makes a signing key."""
    _show(new_key(config_dir(os.environ), replace=force).public, json=json)


@command.command()
def trust(public: Public, state_dir: options.StateDir = None) -> None:
    """Has a box trust a signing key, and none that it was not told to trust."""
    trusted = _trusted(state_dir)
    own = read_public_key(config_dir(os.environ))
    was_listed = trusted.keys() is not None
    trusted.add(public)
    output.out.print(output.plain(f"{trusted.path.parent} trusts {fingerprint(public)}"))
    if not was_listed and own is not None and own != public:
        output.note(
            "it has a list now, and takes no longer what you build yourself, unless: edgefn key "
            f"trust {own}"
        )


@command.command()
def distrust(public: Public, state_dir: options.StateDir = None) -> None:
    """Has a box trust a signing key no longer. What serves goes on serving."""
    trusted = _trusted(state_dir)
    if not trusted.remove(public):
        raise ConfigError(f"{trusted.path.parent} does not trust {fingerprint(public)}")
    output.out.print(output.plain(f"{trusted.path.parent} trusts {fingerprint(public)} no longer"))
    if not trusted.keys():
        output.note(
            f"it trusts nobody now; without the file {trusted.path} it would trust its own user"
        )


command.command()(access_keys.create)
command.command()(access_keys.join)
command.command()(access_keys.ls)
command.command()(access_keys.revoke)


@command.command()
def trusted(state_dir: options.StateDir = None, json: options.Json = False) -> None:
    """Lists the signing keys that a box trusts."""
    keys = _trusted(state_dir).keys()
    if json:
        output.print_json({"trusted": keys})
        return
    if keys is None:
        output.note("no list: the box takes what its own user built")
        return
    table = output.table("fingerprint", "public key")
    for key in keys:
        table.add_row(fingerprint(key), key)
    output.out.print(table)


def _trusted(state_dir: str | None) -> TrustList:
    return TrustList(settings(state_dir=state_dir).state_dir)


def _show(public: str, *, json: bool) -> None:
    if json:
        output.print_json({"public": public, "fingerprint": fingerprint(public)})
        return
    output.out.print(output.plain(public))
    output.note(f"fingerprint {fingerprint(public)}; a box trusts it after: edgefn key trust ...")
