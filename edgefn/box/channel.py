"""A Unix stream socket of messages, driven by the event loop.

Not a transport: descriptors travel on one of these sockets, and messages are sent from synchronous
code. The messages of this side are few and small; a socket whose buffer is full of them belongs to
a process that does not read, and counts as lost.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.lifecycle import MessageReader, pack

READ_BYTES: Final = 64 * 1024


class Channel:
    """One end of a socket.

    Args:
        sock: Owned from now on, closed by `close`.
        kind: What the other side sends.
        on_message: Called with each message.
        on_lost: Called once when the other side is gone or talks nonsense; not after `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        kind: Any,
        *,
        on_message: Callable[[Any], None],
        on_lost: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._reader = MessageReader(kind)
        self._on_message = on_message
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    def send(self, message: Any) -> bool:
        """Sends a message; returns whether it went out whole."""
        data = pack(message)
        try:
            return self.sock.send(data) == len(data)
        except OSError:
            return False

    def read_rest(self) -> None:
        """Handles what has arrived but was not read yet."""
        while self.sock.fileno() >= 0 and self._readable():
            pass

    def close(self) -> None:
        """Closes the socket. Closing twice is fine."""
        if self.sock.fileno() >= 0:
            self._loop.remove_reader(self.sock)
            self.sock.close()

    def _readable(self) -> bool:
        try:
            data = self.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        try:
            messages = self._reader.feed(data)
        except ProtocolError:
            messages, data = [], b""
        for message in messages:
            self._on_message(message)
        if not data and self.sock.fileno() >= 0:
            self.close()
            self._on_lost()
        return bool(data)
