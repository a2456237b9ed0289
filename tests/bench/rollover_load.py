"""Calls a function without pause, on kept and on closed connections, until its input ends.

Prints how many calls were answered as it goes, and at the end what came of them as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import uvloop

KEPT = 8
CLOSING = 2
TELL_EVERY = 50
TIMEOUT_S = 10.0
_BODY = b'{"x": 1}'


class Load:
    """What was called, and how it went."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._address = split.hostname or "", split.port or 0
        self.calls = 0
        self.durations: list[tuple[float, float]] = []
        self.reasons: Counter[str] = Counter()
        self.revisions: set[int] = set()
        self.went_back = 0
        self.ended = asyncio.Event()

    async def keep_calling(self, *, close: bool) -> None:
        """Calls over one connection, or over a new one each time; reconnects after a failure."""
        while not self.ended.is_set():
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError as error:
                self._count(repr(error))
                await asyncio.sleep(0.01)
                continue
            try:
                await self._use(reader, writer, close)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self._count(repr(error))
            finally:
                writer.close()

    async def _use(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, close: bool
    ) -> None:
        last = b"Connection: close\r\n" if close else b""
        request = (
            b"POST /v1/functions/rolled HTTP/1.1\r\nHost: bench\r\n" + last
            + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
        )  # fmt: skip
        newest = 0
        while not self.ended.is_set():
            began_s = time.monotonic()
            writer.write(request)
            async with asyncio.timeout(TIMEOUT_S):
                status, body = await _answer(reader)
            self.durations.append((began_s, time.monotonic() - began_s))
            if status != 200:
                self._count(f"{status} {body[:200]!r}")
            else:
                self._count("")
                revision = int(body)
                self.went_back += revision < newest
                newest = max(newest, revision)
                self.revisions.add(revision)
            if close:
                return

    def _count(self, failure: str) -> None:
        self.calls += 1
        if failure:
            self.reasons[failure] += 1
        if self.calls % TELL_EVERY == 0:
            print(self.calls, flush=True)

    def report(self) -> str:
        """Returns all of it as JSON."""
        return json.dumps(
            {
                "calls": self.calls,
                "failed": self.reasons.total(),
                "reasons": dict(self.reasons),
                "went_back": self.went_back,
                "revisions": len(self.revisions),
                "durations": self.durations,
            }
        )


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    return int(lines[0].split()[1]), await reader.readexactly(int(lengths[0].split(b":")[1]))


async def main() -> None:
    """Runs until standard input ends."""
    load = Load(sys.argv[1])
    async with asyncio.TaskGroup() as group:
        for index in range(KEPT + CLOSING):
            group.create_task(load.keep_calling(close=index >= KEPT))
        await asyncio.to_thread(sys.stdin.read)
        load.ended.set()
    print(load.report(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
