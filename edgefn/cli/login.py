"""`edgefn login`."""

import sys
from typing import Annotated

import typer

from edgefn.access.joining import address_of, fetch_authority
from edgefn.access.logins import Logins
from edgefn.access.secret import KEY_PREFIX, parse_secret
from edgefn.cli import output
from edgefn.cli.joining import read_token
from edgefn.config import settings
from edgefn.errors import ConfigError


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="As in https://hub:8443.")],
    fingerprint: Annotated[
        str, typer.Option(metavar="HEX", help="Of the authority, as `edgefn key create` shows it.")
    ],
    key_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With the key; -: standard input; default: EDGEFN_KEY."),
    ] = None,
) -> None:
    """Keeps a key for a box, and the authority that vouches for it."""
    address_of(url)
    text = read_token(key_file, settings().key)
    if not text:
        if not sys.stdin.isatty():
            raise ConfigError("a key is needed: in EDGEFN_KEY, or a file with --key-file")
        text = str(typer.prompt("key", hide_input=True, err=True)).strip()
    if parse_secret(text) is None or not text.startswith(KEY_PREFIX):
        raise ConfigError("the access key is none: keys begin with efk_; see edgefn key create")
    Logins.of_user().keep(url, text, fetch_authority(url, fingerprint.strip().lower()))
    output.out.print(output.plain(f"edgefn --url {url} has a key now"))
    output.note("for all commands: export EDGEFN_URL=" + url)
