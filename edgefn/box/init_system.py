"""Tells the init system how far the box is, if it asked: what systemd calls sd_notify."""

import logging
import socket
from collections.abc import MutableMapping
from typing import Final, Self

_log = logging.getLogger(__name__)

VARIABLE: Final = "NOTIFY_SOCKET"
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


class InitSystem:
    """Whoever started the box and waits to hear of it; with an empty address, nobody."""

    def __init__(self, address: str) -> None:
        self._address = address

    @classmethod
    def asked_by(cls, environ: MutableMapping[str, str]) -> Self:
        """Takes the address out of an environment: functions must not speak for the box."""
        return cls(environ.pop(VARIABLE, ""))

    def tell(self, state: str) -> None:
        """Sends a state; that nobody hears it is no reason not to serve."""
        if not self._address:
            return
        # `@` stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notice:
                notice.sendto(state.encode(), address)
        except (OSError, ValueError) as error:
            _log.warning("%s=%s was not told %s: %s", VARIABLE, self._address, state, error)
