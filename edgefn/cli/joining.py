"""The step before a box starts that joins a fleet: it fetches its certificate."""

import sys
from pathlib import Path

import typer

from edgefn.access.certificates import holder_name, read_pair
from edgefn.access.files import AccessFiles, read_secret
from edgefn.access.joining import address_of, join
from edgefn.access.secret import parse_secret
from edgefn.box.lock import StateLock
from edgefn.cli import output
from edgefn.errors import ConfigError


def join_fleet(url: str, token: str, name: str, state_dir: Path) -> None:
    """Has a box join the fleet of a hub, unless it is in it.

    Args:
        url: Of the hub.
        token: As given; empty: it is asked for, where there is someone to ask.
        name: Of the box.
        state_dir: Of the box.

    Raises:
        ConfigError: It is in another fleet, or there is no token.
        StateLocked: The box runs.
        EdgefnError: The hub cannot be reached, is not the one of the token, or refuses.
    """
    host, port = address_of(url)
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    files = AccessFiles(state_dir)
    hub = files.hub()
    if hub and hub != url and not token:
        raise ConfigError(
            f"this box is in the fleet of {hub}: for another one it needs a token of that"
        )
    secret = parse_secret(token) if token else None
    if hub == url and (secret is None or secret.id == files.token()):
        return
    token = token or _asked()
    lock = StateLock.acquire(state_dir)
    try:
        with output.spinner(f"joining the fleet of {url}"):
            join(url, token, name, files)
    finally:
        lock.release()
    output.note(f"joined the fleet of {url} as {name}")


def name_of(state_dir: Path, given: str | None, default: str) -> str:
    """Returns the name of a box: as given, else that under which it joined, else the default.

    Raises:
        ConfigError: Its certificate is damaged.
    """
    files = AccessFiles(state_dir)
    if given is not None or not files.hub():
        return default
    pem = read_secret(files.certificate)
    return default if pem is None else holder_name(read_pair(pem)[1]) or default


def read_token(file: str | None, given: str) -> str:
    """Returns a token: of a file (`-`: standard input), else as given.

    Raises:
        ConfigError: The file cannot be read.
    """
    if file is None:
        return given
    try:
        text = sys.stdin.read(1000) if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token cannot be read from {file}: {error}") from error
    return text.strip()


def _asked() -> str:
    if not sys.stdin.isatty():
        raise ConfigError(
            "a join token is needed: in EDGEFN_JOIN_TOKEN, or a file with --token-file. On the "
            "hub: edgefn key join"
        )
    return str(typer.prompt("join token", hide_input=True, err=True)).strip()
