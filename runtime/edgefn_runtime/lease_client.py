"""Takes leases of the box on this machine, and watches its fleet, with asyncio (`leasing`)."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from edgefn_runtime.lease_words import (
    ASK_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    TAKE_TIMEOUT_S,
    LeaseLost,
    checked_length,
    decode,
    ended,
    expect,
    refusal,
    taken_of,
    unreachable,
)
from edgefn_runtime.leasing import (
    LENGTH,
    CheckLease,
    FleetNow,
    FromBox,
    GiveBack,
    GivenBack,
    Joined,
    LeaseRefused,
    LeaseState,
    LeaseTaken,
    TakeLease,
    ToBox,
    Watch,
    encode,
)


class _Connection:
    """Messages to and from a box, over a Unix socket, with asyncio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: str) -> Self:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return cls(*await asyncio.open_unix_connection(path))
        except OSError as error:  # a TimeoutError is one, too
            raise unreachable(path, error) from error

    def send(self, message: ToBox) -> None:
        self._writer.write(encode(message))

    async def receive(self) -> FromBox:
        try:
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            return decode(await self._reader.readexactly(checked_length(length)))
        except (OSError, EOFError) as error:
            raise ended() from error

    async def ask(self, message: ToBox, timeout_s: float) -> FromBox:
        self.send(message)
        try:
            async with asyncio.timeout(timeout_s):
                return await self.receive()
        except TimeoutError as error:
            self.close()  # its answer would be taken for that of the next question
            raise LeaseLost(f"the box did not answer within {timeout_s:g} s") from error
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        self._writer.close()


class AsyncLease:
    """One lease, with asyncio; one question at a time.

        async with await AsyncLease.connect(socket_path()) as lease:
            taken = await lease.take("voice", "int8", holder="replica 7")

    It is given back at the end of the block. A process that dies, or `drop`, loses it: the replica
    serves on.
    """

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._taken = False

    @classmethod
    async def connect(cls, path: str) -> Self:
        """Connects to the box that hands out leases at a path.

        Raises:
            NoBox: None does.
        """
        return cls(await _Connection.open(path))

    async def take(
        self, function: str, variant: str, *, holder: str, timeout_s: float = TAKE_TIMEOUT_S
    ) -> LeaseTaken:
        """Takes the lease; returns once a replica answers. May be called once.

        Args:
            function: Its name; the box waits for a while for one that it does not serve yet.
            variant: Of it.
            holder: Who asks, for people.
            timeout_s: At the most.

        Raises:
            NotLeased: The box refuses it, and says why.
            LeaseLost: The box is gone, or does not answer in time.
        """
        asked = TakeLease(function, variant, holder)
        taken = taken_of(await self._connection.ask(asked, timeout_s))
        self._taken = True
        return taken

    async def check(self, timeout_s: float = ASK_TIMEOUT_S) -> LeaseState:
        """Returns what the lease holds now.

        Raises:
            LeaseLost: The box is gone, or does not answer in time.
        """
        return expect(LeaseState, await self._connection.ask(CheckLease(), timeout_s))

    async def give_back(self, timeout_s: float = ASK_TIMEOUT_S) -> None:
        """Gives the lease back, and closes the connection; one that is given back stays so.

        Raises:
            LeaseLost: The box is gone, or does not answer in time.
        """
        if not self._taken:
            self.drop()
            return
        self._taken = False
        try:
            expect(GivenBack, await self._connection.ask(GiveBack(), timeout_s))
        finally:
            self.drop()

    def drop(self) -> None:
        """Closes the connection, as the end of this process would."""
        self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(LeaseLost):  # what is lost need not be given back
            await self.give_back()


class FleetWatch:
    """What the box knows of its fleet, with asyncio: the first at once, then at every change."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, path: str) -> Self:
        """Begins to watch.

        Raises:
            NoBox: None hands out leases at this path.
        """
        connection = await _Connection.open(path)
        connection.send(Watch())
        return cls(connection)

    async def next(self) -> FleetNow:
        """Waits for what is known next; without an end, as it may not change for long.

        Raises:
            NotLeased: The box is of no fleet.
            LeaseLost: The box is gone.
        """
        message = await self._connection.receive()
        if isinstance(message, LeaseRefused):
            raise refusal(message)
        return expect(FleetNow, message)

    def tell(self, joined: Joined) -> None:
        """Tells the box whether this machine is in the Ray cluster."""
        self._connection.send(joined)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
