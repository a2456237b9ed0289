"""What a client shows to a box, and what it wants to be shown."""

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edgefn.access.logins import Logins
from edgefn.access.secret import KEY_PREFIX, parse_secret
from edgefn.access.tls import client_context
from edgefn.config import Settings, settings
from edgefn.errors import ConfigError


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Of one client and one box.

    Attributes:
        url: Of the box.
        key: Access key, or empty.
        ca: File with the authority that must have signed the box's certificate; None: the system's.
        certificate: File of a private key and certificate to show, or None.
    """

    url: str
    key: str = ""
    ca: Path | None = None
    certificate: Path | None = None

    def __repr__(self) -> str:
        return f"Credentials(url={self.url!r})"  # never the key

    @property
    def headers(self) -> dict[str, str]:
        """Headers of each request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def context(self) -> ssl.SSLContext | None:
        """Returns how TLS is spoken; None if the URL has none.

        Raises:
            ConfigError: A file cannot be read.
        """
        if not self.url.startswith("https:"):
            return None
        return client_context(self.ca, self.certificate)


def credentials_of(
    url: str | None, key: str | None, ca: Path | str | None, certificate: Path | str | None
) -> Credentials:
    """Returns what to show to a box: as given, else of the environment, else of `edgefn login`.

    Raises:
        ConfigError: A value is wrong, or a key would travel in plain text.
    """
    given = settings(url=url, key=key, ca=ca)
    shown = None if certificate is None else Path(certificate)
    if not given.url.startswith("https:"):
        _check_plain(given, is_asked=key is not None or shown is not None)
        return Credentials(url=given.url)
    login = Logins.of_user().find(given.url)
    text = given.key or ("" if login is None or shown is not None else login.key)
    if text and (parse_secret(text) is None or not text.startswith(KEY_PREFIX)):
        raise ConfigError("the access key is none: keys begin with efk_; see edgefn key create")
    known = login.ca if login is not None else None
    return Credentials(url=given.url, key=text, ca=given.ca or known, certificate=shown)


def _check_plain(given: Settings, *, is_asked: bool) -> None:
    """Refuses to show a key where others could read it; this machine wants none."""
    host = urlsplit(given.url).hostname or ""
    if (given.key or is_asked) and not _is_loopback(host):
        raise ConfigError(
            f"a key is not sent over {given.url}, where others could read it: use https"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
