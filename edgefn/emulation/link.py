"""An emulated link: a TCP proxy that is as slow, jittery, lossy or cut as it is told to be."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from edgefn.emulation.path import Conditions, Direction
from edgefn.emulation.relay import Relay, Side

_MOST_CONNECTIONS: Final = 256
_CONNECT_TIMEOUT_S: Final = 5.0


class EmulatedLink:
    """Listens on a port of this machine, and passes what comes on to another.

    Args:
        conditions: At first.
        seed: Of jitter and loss.

    Attributes:
        conditions: Now; see `change`.
    """

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        self._target: tuple[str, int] | None = None
        there, back = random.Random(seed), random.Random(seed + 1)
        self._there, self._back = Direction(there.random), Direction(back.random)
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str = "127.0.0.1") -> int:
        """Starts to accept connections; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    def aim(self, host: str, port: int) -> None:
        """Says where connections lead to; until then they are turned away."""
        self._target = (host, port)

    def change(self, conditions: Conditions) -> None:
        """Goes on under other conditions; what is on its way already is not touched."""
        was_cut, self.conditions = self.conditions.cut, conditions
        if was_cut and not conditions.cut:
            for connection in self._connections:
                connection.restored()

    def connections(self) -> int:
        """Returns how many connections there are."""
        return len(self._connections)

    async def aclose(self) -> None:
        """Ends all connections, and stops listening."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in tuple(self._connections):
            connection.abort()

    def _accept(self) -> Side:
        connection = _Connection(self, self._there, self._back, self._connections.discard)
        self._connections.add(connection)
        task = asyncio.get_running_loop().create_task(self._lead(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return connection.near

    async def _lead(self, connection: "_Connection") -> None:
        """Connects to the target, and lets go of a connection that does not get there."""
        try:
            if self._target is not None and len(self._connections) <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    loop = asyncio.get_running_loop()
                    await loop.create_connection(lambda: connection.far, *self._target)
                if connection.is_open():
                    return
        except (OSError, TimeoutError):
            pass
        connection.abort()


class _Connection:
    """One connection, with both of its ends."""

    def __init__(
        self,
        link: EmulatedLink,
        there: Direction,
        back: Direction,
        on_gone: Callable[["_Connection"], None],
    ) -> None:
        self._there, self._back = Relay(link, there), Relay(link, back)
        self._on_gone = on_gone
        self.near = Side(self._there, self._back, self)
        self.far = Side(self._back, self._there, self)
        self._open = 2

    def is_open(self) -> bool:
        """Whether both ends are there."""
        ends = (self.near.transport, self.far.transport)
        return all(end is not None and not end.is_closing() for end in ends)

    def restored(self) -> None:
        """Goes on after a cut."""
        self._there.restored()
        self._back.restored()

    def abort(self) -> None:
        """Ends both ends at once."""
        for side in (self.near, self.far):
            if side.transport is not None:
                side.transport.abort()
        self._there.close()
        self._back.close()
        self._on_gone(self)

    def side_lost(self, side: Side) -> None:
        """Lets the other end hear of it when all that was said before has come."""
        self._open -= 1
        if self._open == 0 or self.far.transport is None:
            self.abort()
        elif side is self.near:
            self._there.end()
        else:
            self._back.end()
