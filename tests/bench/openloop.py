"""Calls at given instants, whatever becomes of the calls before: an open loop.

A process of its own: it reads a `recording.Job` from standard input and writes a
`recording.Recording` to standard output. Latencies count from the scheduled instant, so that a
server that stalls is charged for every call that it kept from being sent (no coordinated omission:
Tene, "How NOT to measure latency", 2013). The instant of the writing is recorded too: what lies
between the two is the generator's own delay, or the wait for a free connection.

Timers of event loops come a millisecond late; here a timerfd wakes the loop.
"""

import asyncio
import ctypes
import gc
import os
import sys
import time
from array import array
from collections import deque
from typing import Any, Final

import msgspec
import uvloop
from recording import LOST, UNANSWERED, Job, Recording, pack

CONNECTIONS: Final = 64  # opened before the first call
MOST_CONNECTIONS: Final = 900  # a gateway takes 1,024
ANSWERED_WITHIN_S: Final = 10.0
LEAD_S: Final = 0.3  # between the opening of the connections and the first call
_END: Final = b"\r\n\r\n"


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class Alarm:
    """A timer of microseconds, readable when it rings."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")

    def set(self, at_s: float) -> None:
        """Rings at an instant of the monotonic clock; at once if it has passed."""
        s, ns = divmod(max(int(at_s * 1e9), 1), 1_000_000_000)
        spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(s, ns))
        if self._libc.timerfd_settime(self.fd, 1, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def take(self) -> None:
        """Silences it."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return


class Connection(asyncio.Protocol):
    """One connection; it has at most one call."""

    __slots__ = ("call", "load", "received", "transport")

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.call = -1
        self.received = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Is ready for a call."""
        self.transport = transport
        self.load.idle.append(self)

    def data_received(self, data: bytes) -> None:
        """Reads an answer."""
        data = self.received = self.received + data if self.received else data
        end = data.find(_END)
        if end < 0:
            return
        start = data.find(b"Content-Length: ", 0, end) + 16
        length = int(data[start : data.index(b"\r", start)]) if start > 15 else 0
        if len(data) < end + 4 + length:
            return
        call, self.call, self.received = self.call, -1, b""
        self.load.answered(call, data, end)
        if data.find(b"\r\nConnection: close", 0, end) < 0:
            self.load.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Gives up what it had."""
        self.load.lost(self)


class Load:
    """All calls of a job.

    Attributes:
        idle: Connections without a call; the one used last comes first.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm()
        self._requests = [target.request() for target in job.targets]
        self._at_s = array("d", job.at_s)
        self._which = array("h", job.which)
        count = self._left = len(self._at_s)
        self._next = 0
        self._start_s = 0.0
        self._unsent: deque[int] = deque()
        self._opening: set[asyncio.Task[Any]] = set()
        self._connections = 0
        self._done = asyncio.Event()
        self.idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._sent_s = array("d", [0.0]) * count
        self._done_s = array("d", [0.0]) * count
        self._status = array("h", [UNANSWERED]) * count
        self._answers: list[bytes] = [b""] * count

    async def run(self) -> Recording:
        """Makes all calls."""
        await asyncio.gather(*(self._open() for _ in range(CONNECTIONS)))
        gc.collect()
        gc.freeze()
        gc.disable()
        self._start_s = time.monotonic() + LEAD_S
        self._loop.add_reader(self._alarm.fd, self._ring)
        cpu_s = time.process_time()
        if self._left:
            self._alarm.set(self._start_s + self._at_s[0])
            within_s = LEAD_S + self._at_s[-1] + ANSWERED_WITHIN_S
            try:
                async with asyncio.timeout(within_s):
                    await self._done.wait()
            except TimeoutError:
                pass  # what has no answer by now is told as such
        cpu_s = time.process_time() - cpu_s
        self._loop.remove_reader(self._alarm.fd)
        for connection in (*self.idle, *self._busy):
            connection.transport.abort()
        return self._recording(cpu_s)

    def _recording(self, cpu_s: float) -> Recording:
        return Recording.of(
            self._job,
            started_s=self._start_s,
            cpu_s=cpu_s,
            sent_s=self._sent_s,
            done_s=self._done_s,
            status=self._status,
            answers=self._answers,
        )

    def _ring(self) -> None:
        self._alarm.take()
        now_s = time.monotonic() - self._start_s
        at_s, count = self._at_s, len(self._at_s)
        call = self._next
        while call < count and at_s[call] <= now_s:
            if self.idle:
                self._send(self.idle.pop(), call)
            else:
                self._unsent.append(call)
                self._want_one_more()
            call += 1
        self._next = call
        if call < count:
            self._alarm.set(self._start_s + at_s[call])

    def _send(self, connection: Connection, call: int) -> None:
        connection.call = call
        self._busy.add(connection)
        connection.transport.write(self._requests[self._which[call]])
        self._sent_s[call] = time.monotonic() - self._start_s

    def _want_one_more(self) -> None:
        if self._connections < MOST_CONNECTIONS and len(self._opening) < len(self._unsent):
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        self._connections += 1
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), self._job.host, self._job.port
            )
        except OSError:
            self._connections -= 1
            return
        if self._unsent and connection in self.idle:
            self.idle.remove(connection)
            self.free(connection)

    def free(self, connection: Connection) -> None:
        """Has a connection make the next call that waits for one."""
        self._busy.discard(connection)
        if self._unsent:
            self._send(connection, self._unsent.popleft())
        else:
            self.idle.append(connection)

    def answered(self, call: int, data: bytes, end: int) -> None:
        """Takes an answer."""
        self._done_s[call] = time.monotonic() - self._start_s
        self._status[call] = int(data[9:12])
        # Of a result its head is of interest, of an error its body too.
        self._answers[call] = data[:end] if data[9:12] == b"200" else data
        self._count()

    def lost(self, connection: Connection) -> None:
        """Notes that the server has closed a connection."""
        self._connections -= 1
        self._busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.call >= 0:
            self._done_s[connection.call] = time.monotonic() - self._start_s
            self._status[connection.call] = LOST
            self._count()

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()


async def main() -> None:
    """Does the job."""
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(pack(await Load(job).run()))


if __name__ == "__main__":
    uvloop.run(main())
