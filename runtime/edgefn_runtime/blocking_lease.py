"""Takes leases of the box on this machine, for programs without a loop (`leasing`)."""

import socket
import time
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
    taken_of,
    unreachable,
)
from edgefn_runtime.leasing import (
    LENGTH,
    CheckLease,
    FromBox,
    GiveBack,
    GivenBack,
    LeaseState,
    LeaseTaken,
    TakeLease,
    ToBox,
    encode,
)


class Lease:
    """One lease, for programs without a loop; as `AsyncLease`."""

    def __init__(self, path: str) -> None:
        """Connects to the box that hands out leases at a path.

        Raises:
            NoBox: None does.
        """
        self._taken = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise unreachable(path, error) from error

    def take(
        self, function: str, variant: str, *, holder: str, timeout_s: float = TAKE_TIMEOUT_S
    ) -> LeaseTaken:
        """See `AsyncLease.take`."""
        taken = taken_of(self._ask(TakeLease(function, variant, holder), timeout_s))
        self._taken = True
        return taken

    def check(self, timeout_s: float = ASK_TIMEOUT_S) -> LeaseState:
        """See `AsyncLease.check`."""
        return expect(LeaseState, self._ask(CheckLease(), timeout_s))

    def give_back(self, timeout_s: float = ASK_TIMEOUT_S) -> None:
        """See `AsyncLease.give_back`."""
        if not self._taken:
            self.drop()
            return
        self._taken = False
        try:
            expect(GivenBack, self._ask(GiveBack(), timeout_s))
        finally:
            self.drop()

    def drop(self) -> None:
        """Closes the connection, as the end of this process would."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(LeaseLost):  # what is lost need not be given back
            self.give_back()

    def _ask(self, message: ToBox, timeout_s: float) -> FromBox:
        end_s = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(encode(message))
            (length,) = LENGTH.unpack(self._read(LENGTH.size, end_s))
            return decode(self._read(checked_length(length), end_s))
        except TimeoutError as error:
            self.drop()
            raise LeaseLost(f"the box did not answer within {timeout_s:g} s") from error
        except (OSError, EOFError) as error:
            raise ended() from error

    def _read(self, count: int, end_s: float) -> bytes:
        read = bytearray()
        while len(read) < count:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            if not (data := self._socket.recv(count - len(read))):
                raise EOFError
            read += data
        return bytes(read)
