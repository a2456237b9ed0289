"""What `edgefn login` keeps for a user: keys and authorities, by URL.

<configuration folder>/logins/<host>_<port>/key       the access key
<configuration folder>/logins/<host>_<port>/ca.pem    the authority that was checked
"""

import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

from edgefn.access.files import read_secret
from edgefn.bundle.private_file import write_own_file
from edgefn.config import own_folder

_HTTPS_PORT = 443


class Login(msgspec.Struct, frozen=True):
    """What is kept for one box. `key` is never printed."""

    key: str
    ca: Path

    def __repr__(self) -> str:
        return f"Login(ca={str(self.ca)!r})"


class Logins:
    """The logins of a user.

    Args:
        folder: That holds them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> Self:
        """Returns those of whoever runs this process."""
        return cls(own_folder(os.environ, "XDG_CONFIG_HOME", "~/.config") / "logins")

    def find(self, url: str) -> Login | None:
        """Returns what is kept for a box; None if nothing is.

        Raises:
            ConfigError: Others could read or replace it.
        """
        folder = self._of(url)
        key = read_secret(folder / "key")
        return None if key is None else Login(key.strip(), folder / "ca.pem")

    def keep(self, url: str, key: str, authority: str) -> None:
        """Keeps a key, and the certificate of the authority that vouches for the box.

        Raises:
            ConfigError: It cannot be written.
        """
        folder = self._of(url)
        write_own_file(folder / "ca.pem", authority, replace=True)
        write_own_file(folder / "key", f"{key}\n", replace=True)

    def _of(self, url: str) -> Path:
        parts = urlsplit(url)
        host = (parts.hostname or "").replace(":", "_")
        return self._folder / f"{host}_{parts.port or _HTTPS_PORT}"
