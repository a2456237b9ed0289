"""Where a box keeps its keys and certificates: a folder that its own user alone can read.

    authority.pem      private key and certificate of the authority; only where the box made one
    fleet.pem          certificate of the authority that the box trusts
    certificate.pem    private key and certificate of the box itself
    hub                URL of the hub that it joined, and id of the token that it showed
    access.db          keys, tokens and certificates that were given out

A private key and its certificate are one file, so that a renewal is old or new, never a mixture.
"""

import stat
from pathlib import Path
from typing import Final

from edgefn.bundle.private_file import read_own_file, write_own_file

FOLDER: Final = "access"
_OTHERS_READ: Final = stat.S_IRWXG | stat.S_IRWXO


class AccessFiles:
    """The files of one box.

    Attributes:
        folder: That holds them.
        authority: Path of the authority's private key and certificate.
        fleet: Path of the certificate of the authority that is trusted.
        certificate: Path of the box's private key and certificate.
        database: Path of what was given out.
    """

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER
        self.authority = self.folder / "authority.pem"
        self.fleet = self.folder / "fleet.pem"
        self.certificate = self.folder / "certificate.pem"
        self.database = self.folder / "access.db"
        self._hub = self.folder / "hub"

    def hub(self) -> str:
        """Returns the URL of the hub that the box joined; nothing if it joined none.

        Raises:
            ConfigError: Others could read or replace the file.
        """
        return self._membership()[0]

    def token(self) -> str:
        """Returns the id of the token with which it joined; nothing if it joined none.

        Raises:
            ConfigError: Others could read or replace the file.
        """
        return self._membership()[1]

    def joined(self, hub: str, token: str, fleet: str, certificate: str) -> None:
        """Keeps what a hub gave; the last file written makes it count.

        Args:
            hub: Its URL.
            token: Id of the token that was shown to it.
            fleet: Certificate of its authority.
            certificate: Private key and certificate of this box.

        Raises:
            ConfigError: A file cannot be written.
        """
        write_own_file(self.fleet, fleet, replace=True)
        write_own_file(self.certificate, certificate, replace=True)
        write_own_file(self._hub, f"{hub}\n{token}\n", replace=True)

    def left(self) -> None:
        """Forgets the hub, and what it gave; the first file removed makes that count.

        Raises:
            OSError: A file cannot be removed.
        """
        for path in (self._hub, self.certificate, self.fleet):
            path.unlink(missing_ok=True)

    def _membership(self) -> tuple[str, str]:
        lines = [*(read_secret(self._hub) or "").split(), "", ""]
        return lines[0], lines[1]


def read_secret(path: Path) -> str | None:
    """Returns the text of a file that its owner alone can read; None if there is none.

    Raises:
        ConfigError: Others could read or replace it.
    """
    return read_own_file(path, refused=_OTHERS_READ)
