"""Speaks with the emulated links of a session, and finds the sessions of this user."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from edgefn.emulation.messages import MAX_LINE_BYTES, SOCKET, Links, LinkStatus, Order
from edgefn.errors import ConfigError, EdgefnError

SESSION_PREFIX: Final = "edgefn-dev-"
_TIMEOUT_S: Final = 5.0


class LinkControl:
    """The control socket of a session's links."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, order: Order) -> tuple[LinkStatus, ...]:
        """Returns the links that an order concerns, as they are after it.

        Raises:
            ConfigError: It cannot be carried out.
            EdgefnError: No session answers there.
        """
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(_TIMEOUT_S)
                sock.connect(str(self._path))
                sock.sendall(msgspec.json.encode(order) + b"\n")
                with sock.makefile("rb") as stream:
                    answer = msgspec.json.decode(stream.readline(MAX_LINE_BYTES), type=Links)
        except (OSError, msgspec.MsgspecError) as error:
            raise EdgefnError(f"the links at {self._path} do not answer: {error}") from error
        if answer.error:
            raise ConfigError(answer.error)
        return answer.links


def find_session(folder: Path | None) -> LinkControl:
    """Returns the control of a session's links.

    Args:
        folder: Of the session; None: the only one that this user has on this machine.

    Raises:
        ConfigError: There is none, or more than one.
    """
    if folder is not None:
        return LinkControl(folder / SOCKET)
    found = sorted(filter(_is_alive, Path(tempfile.gettempdir()).glob(f"{SESSION_PREFIX}*")))
    if not found:
        raise ConfigError(
            "no session with emulated links runs on this machine: start one with "
            "`edgefn dev --topology edge:2,cloud:1`"
        )
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} sessions run: choose one with --session, of {', '.join(map(str, found))}"
        )
    return LinkControl(found[0] / SOCKET)


def _is_alive(folder: Path) -> bool:
    """Whether this user's session of that folder still answers."""
    try:
        if folder.lstat().st_uid != os.getuid():
            return False
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.connect(str(folder / SOCKET))
    except OSError:
        return False
    return True
