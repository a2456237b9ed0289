"""Settings from the command line and the environment, resolved once into one frozen object.

A value on the command line wins over `EDGEFN_<NAME>`, and that over the default. A variable that
starts with `EDGEFN_` but is none of ours is an error: a misspelt one must not be silently ignored.
"""

import difflib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edgefn.errors import ConfigError

PREFIX: Final = "EDGEFN_"
MAX_GATEWAYS: Final = 64

NAME_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z"

_NAME = re.compile(NAME_PATTERN)
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command or a client was told; each field is also a variable, `EDGEFN_URL` and so on.

    Attributes:
        url: Of the box that commands and clients speak to.
        state_dir: Where a box keeps what must survive it.
        host: Address that a box listens on.
        port: Port that a box listens on; 0: any free one.
        gateways: Gateway processes of a box.
        tier: Service class of a box, `edge` or `cloud` or the operator's own; empty: a hub's is
            `cloud`, that of others `edge`.
        name: Of a box, for those who read its answers.
        insecure: Allows an address that others can reach, without keys or TLS.
        site: Where a box stands; empty: a site of its own.
        listen: Where others reach a box, with TLS and keys, as `host:port`; empty: nowhere.
        key: Access key that is shown to the box. It is never printed.
        ca: File with the certificate of the authority that signed the box's; None: the system's.
        join_token: With which a box joins a fleet. It is never printed.
    """

    url: str
    state_dir: Path
    host: str
    port: int
    gateways: int
    tier: str
    name: str
    insecure: bool
    site: str
    listen: str
    key: str = field(repr=False)
    ca: Path | None
    join_token: str = field(repr=False)


def resolve(environ: Mapping[str, str], **given: Any) -> Settings:
    """Returns the settings.

    Args:
        environ: The process's environment.
        **given: From the command line, by field; None counts as not given.

    Raises:
        ConfigError: An unknown variable, or a value that does not fit; the message names where it
            came from.
    """
    _refuse_unknown(environ)
    values: dict[str, Any] = {}
    for name, (parse, default) in _FIELDS.items():
        value, source = given.get(name), f"--{name.replace('_', '-')}"
        if value is None:
            source = PREFIX + name.upper()
            value = environ.get(source)
        if value is None:
            values[name] = default(environ)
            continue
        try:
            values[name] = parse(value)
        except ValueError as error:
            shown = "..." if name in _SECRET else value
            raise ConfigError(f"{source}={shown!s}: {error}", source=source) from error
    return Settings(**values)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = [PREFIX + name.upper() for name in _FIELDS]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"unknown environment variable {name}; did you mean {nearest}? "
                f"Known: {', '.join(known)}",
                source=name,
            )


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a URL like http://127.0.0.1:8080")
    _ = parts.port  # raises ValueError when it is no port
    if parts.query or parts.fragment or parts.username:
        raise ValueError("expected scheme, host, port and path only")
    return value.rstrip("/")


def _integer(least: int, most: int) -> Callable[[str | int], int]:
    def parse(value: str | int) -> int:
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return int(text)

    return parse


def _word(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("expected letters, digits, dots, dashes or underscores, at most 63")
    return value


def _host(value: str) -> str:
    if not value or any(c.isspace() or c in "/[]" for c in value):
        raise ValueError("expected an address or a host name, like 127.0.0.1, ::1 or 0.0.0.0")
    return value


def _flag(value: str | bool) -> bool:
    text = str(value).lower()
    if text not in _TRUE + _FALSE:
        raise ValueError("expected 1 or 0")
    return text in _TRUE


def _folder(value: str | Path) -> Path:
    if not str(value):
        raise ValueError("expected a folder")
    return Path(value).expanduser().absolute()


def _file(value: str | Path) -> Path:
    if not str(value):
        raise ValueError("expected a file")
    return Path(value).expanduser().absolute()


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    _host(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    _integer(0, 65535)(port)
    return value


def _secret(value: str) -> str:
    text = value.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("expected the text as it was shown, in one piece")
    return text


def is_name(text: str) -> bool:
    """Whether a text can be the name of a box, a site or a key."""
    return _NAME.fullmatch(text) is not None


def own_folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Returns edgefn's folder in a base directory of the XDG specification.

    Args:
        environ: The process's environment.
        variable: That names the base, as in `XDG_CONFIG_HOME`.
        default: Of that variable, as in `~/.config`.
    """
    base = environ.get(variable, "")
    # As the specification says, a relative path is invalid and to be ignored.
    return (Path(base) if base.startswith("/") else Path(default).expanduser()) / "edgefn"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Returns where this user's caches of edgefn are: below XDG_CACHE_HOME or ~/.cache."""
    return own_folder(environ, "XDG_CACHE_HOME", "~/.cache")


def _default_state_dir(environ: Mapping[str, str]) -> Path:
    return own_folder(environ, "XDG_STATE_HOME", "~/.local/state")


def _default_name(_: Mapping[str, str]) -> str:
    name = socket.gethostname()
    return name if _NAME.fullmatch(name) else "box"


def _always(value: Any) -> Callable[[Mapping[str, str]], Any]:
    return lambda _: value


_FIELDS: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Mapping[str, str]], Any]]]] = {
    "url": (_url, _always("http://127.0.0.1:8080")),
    "state_dir": (_folder, _default_state_dir),
    "host": (_host, _always("127.0.0.1")),
    "port": (_integer(0, 65535), _always(8080)),
    "gateways": (_integer(1, MAX_GATEWAYS), _always(1)),
    "tier": (_word, _always("")),
    "name": (_word, _default_name),
    "insecure": (_flag, _always(False)),
    "site": (_word, _always("")),
    "listen": (_address, _always("")),
    "key": (_secret, _always("")),
    "ca": (_file, _always(None)),
    "join_token": (_secret, _always("")),
}
_SECRET: Final = ("key", "join_token")
SECRET_VARIABLES: Final = tuple(PREFIX + name.upper() for name in _SECRET)


def settings(**given: Any) -> Settings:
    """Returns the settings of this process; see `resolve`."""
    return resolve(os.environ, **given)
