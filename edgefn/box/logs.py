"""What functions print: read from their pipes, kept in memory for readers, written to files.

A function that prints without end must neither fill the disk nor keep the box busy. So its lines
are limited in number and length, and its pipe is read at a limited pace: when the pipe is full,
the function itself waits in its `print`.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from edgefn.box.log_files import LogFiles
from edgefn.box.log_lines import LINES_PER_S, LineCutter, LineLimit, LogLine, LogRing

FLUSH_S: Final = 0.1
PIPE_READ_BYTES: Final = 64 * 1024
PIPE_PAUSE_S: Final = 0.02  # after every so many bytes: about 3 MB/s at most

_log = logging.getLogger(__name__)


class FunctionLog:
    """The log of one function."""

    def __init__(self, lines: list[LogLine]) -> None:
        self.ring = LogRing()
        for line in lines:
            self.ring.append(line)
        self.unwritten: list[LogLine] = []
        self.changed = asyncio.Event()
        self.limit = LineLimit(time.monotonic())

    def add(self, replica: str, text: str) -> None:
        """Adds a line that was printed, unless there are too many."""
        if self.limit.admit(time.monotonic()):
            self.note(replica, text)

    def note(self, replica: str, text: str) -> None:
        """Adds a line of the box itself, which always counts."""
        line = LogLine(datetime.now(UTC).isoformat(timespec="milliseconds"), replica, text)
        self.ring.append(line)
        self.unwritten.append(line)
        self.changed.set()

    def report_dropped(self) -> None:
        """Says how many lines were dropped, once they no longer are."""
        if dropped := self.limit.take_dropped(time.monotonic()):
            self.note("", f"edgefn: {dropped} lines dropped: more than {LINES_PER_S} a second")


class Logs:
    """The logs of all functions of a box."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._logs: dict[str, FunctionLog] = {}
        self._ending = False
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgefn-logs")

    def of(self, function: str) -> FunctionLog:
        """Returns the log of a function."""
        log = self._logs.get(function)
        if log is None:
            log = self._logs[function] = FunctionLog(self._files.newest(function))
        return log

    async def read(
        self, function: str, *, after: int | None, limit: int, wait_s: float
    ) -> tuple[list[LogLine], int]:
        """Returns lines and the cursor that continues after them.

        Args:
            function: Its name.
            after: A cursor of an earlier answer; None: the newest lines.
            limit: At most so many.
            wait_s: How long to wait for a first line, if there is none.
        """
        log = self.of(function)
        if after is None or after > log.ring.next:  # a cursor of a box before this one
            return log.ring.newest(limit)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while log.ring.next <= after and not self._ending:
                    log.changed.clear()
                    await log.changed.wait()
        return log.ring.after(after, limit)

    def forget(self, function: str) -> None:
        """Removes the log of a function, in memory and on disk."""
        self._logs.pop(function, None)
        self._executor.submit(self._files.remove, function)

    def release(self) -> None:
        """Lets all who wait for a new line go, because the box ends."""
        self._ending = True
        for log in self._logs.values():
            log.changed.set()

    async def keep_writing(self) -> None:
        """Writes new lines to the files, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def aclose(self) -> None:
        """Writes what is left."""
        await self._flush()
        self._executor.shutdown()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        for name, log in list(self._logs.items()):
            log.report_dropped()
            lines, log.unwritten = log.unwritten, []
            if not lines:
                continue
            try:
                await loop.run_in_executor(self._executor, self._files.append, name, lines)
            except OSError as error:
                _log.warning("the log of %s was not written: %s", name, error)


class LogPipe:
    """Reads one replica's standard output and error.

    Args:
        descriptor: The end to read, owned from now on.
        on_line: Called with each line.
    """

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._on_line = on_line
        self._cutter = LineCutter()
        self._since_pause = 0
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._loop.add_reader(descriptor, self._readable)

    def close(self) -> None:
        """Reads what is left in the pipe, and closes it. Closing twice is fine."""
        if self._descriptor < 0:
            return
        self._read()
        self._stop()

    def _readable(self) -> None:
        length = self._read()
        self._since_pause += length
        if length == 0:
            self._stop()
        elif self._since_pause >= PIPE_READ_BYTES:
            self._since_pause = 0
            self._loop.remove_reader(self._descriptor)
            self._resume = self._loop.call_later(PIPE_PAUSE_S, self._continue)

    def _continue(self) -> None:
        self._resume = None
        self._loop.add_reader(self._descriptor, self._readable)

    def _read(self) -> int:
        try:
            data = os.read(self._descriptor, PIPE_READ_BYTES)
        except BlockingIOError:
            return -1
        for line in self._cutter.feed(data):
            self._on_line(line)
        return len(data)

    def _stop(self) -> None:
        for line in self._cutter.rest():
            self._on_line(line)
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
