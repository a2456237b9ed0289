"""A Unix stream socket of messages, read by a build that waits for one at a time."""

import socket
from typing import Any, Final

from edgefn_runtime.lifecycle import MessageReader

_READ_BYTES: Final = 1 << 16


class Stream:
    """Reads the messages of another process.

    Args:
        sock: Stays the caller's to close.
        kind: Of the messages.
    """

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        self.sock = sock
        self._reader = MessageReader(kind)
        self._heard: list[Any] = []

    def next(self, timeout_s: float) -> Any:
        """Returns the next message, or None at the end.

        Raises:
            TimeoutError: Nothing came for so long.
            ProtocolError: Something else came.
        """
        self.sock.settimeout(timeout_s)
        while not self._heard:
            try:
                data = self.sock.recv(_READ_BYTES)
            except ConnectionError:
                return None
            if not data:
                return None
            self._heard += self._reader.feed(data)
        return self._heard.pop(0)
