"""Requests to the hub: HTTP/1.1 over mutual TLS, on a connection that is kept for the next one.

As little of HTTP as a hub answers with: a status, headers, and a body of a known length.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from edgefn.access.files import AccessFiles
from edgefn.access.identity import identity_of
from edgefn.access.joining import address_of
from edgefn.access.tls import FLEET_NAME, fleet_context
from edgefn.errors import ConfigError, EdgefnError

CONNECT_S: Final = 10.0
PAUSE_S: Final = 20.0  # at the longest between two pieces of a body
MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 32 * 1024


class HubUnreachable(EdgefnError):
    """The hub does not answer, or what answers is not the hub. It may later."""

    code = "unavailable"


class HubRefuses(EdgefnError):
    """The hub answers with an error."""

    code = "unavailable"


class Head(msgspec.Struct, frozen=True):
    """What stands before the body of an answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """Bytes of the body.

        Raises:
            HubUnreachable: It is not known.
        """
        text = self.headers.get("content-length", "")
        if not text.isascii() or not text.isdigit():
            raise HubUnreachable("what answers is no hub of edgefn: it does not say how much comes")
        return int(text)


class HubConnection:
    """One connection to the hub. For one request at a time.

    Each new connection shows the certificate that the box has by then.

    Args:
        files: Of the box that joined.
    """

    def __init__(self, files: AccessFiles) -> None:
        self._files = files
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, timeout_s: float = PAUSE_S
    ) -> bytes:
        """Returns the body of the answer. The request may be sent twice.

        Args:
            method: Of HTTP.
            target: Path and query.
            body: JSON, or nothing.
            timeout_s: For all of it, but for making the connection.

        Raises:
            HubUnreachable: There is no answer, or none of the hub.
            HubRefuses: The answer is an error.
        """
        try:
            head = await self._exchange(method, target, body, {}, timeout_s)
            return await self._body(head)
        except BaseException:
            self._drop()  # the rest of an answer may be under way
            raise

    async def read(
        self, target: str, offset: int, size: int, take: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Reads a file from an offset on, piece by piece.

        Args:
            target: Path and query.
            offset: Of the first byte that is wanted.
            size: Of the whole file.
            take: Awaited with each piece.

        Raises:
            HubUnreachable: The answer ends early, or there is none.
            HubRefuses: The answer is an error.
        """
        try:
            head = await self._exchange("GET", target, b"", {"Range": f"bytes={offset}-"}, PAUSE_S)
            if head.status not in (200, 206):
                await self._body(head)
            if head.length != size - offset:
                raise HubUnreachable(
                    f"of {target} from byte {offset} on {head.length} bytes would come, not "
                    f"{size - offset}"
                )
            await self._pieces(head.length, take)
        except BaseException:
            self._drop()
            raise

    async def aclose(self) -> None:
        """Closes the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._drop()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Head:
        """Sends a request and returns the head of its answer.

        A connection that was kept may have been closed by the hub a moment ago: then the request is
        sent once more, on a new one. All requests to a hub may be repeated.
        """
        request = _request(self._host, method, target, body, headers)
        if self._streams is not None:
            with suppress(HubUnreachable):
                return await self._sent(self._streams, request, timeout_s)
            self._drop()
        self._streams = await self._connect()
        return await self._sent(self._streams, request, timeout_s)

    @property
    def _host(self) -> str:
        return self._files.hub().removeprefix("https://")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = self._files.hub()
        try:
            context = fleet_context(self._files.fleet, self._files.certificate)
            host, port = address_of(url)
            async with asyncio.timeout(CONNECT_S):
                streams = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=FLEET_NAME, limit=_HEAD_BYTES
                )
        except (OSError, TimeoutError, ConfigError) as error:
            raise HubUnreachable(f"the hub cannot be reached at {url}: {_reason(error)}") from error
        identity = identity_of(streams[1].get_extra_info("peercert"))
        if identity is None or not identity.is_hub:
            streams[1].transport.abort()
            who = "no box" if identity is None else f"{identity.kind} {identity.name!r}"
            raise HubUnreachable(f"whoever answers at {url} is {who}, not the hub of this fleet")
        return streams

    async def _sent(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        request: bytes,
        timeout_s: float,
    ) -> Head:
        reader, writer = streams
        try:
            async with asyncio.timeout(timeout_s):
                writer.write(request)
                await writer.drain()
                return _head(await reader.readuntil(b"\r\n\r\n"))
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            raise HubUnreachable(f"the hub did not answer: {_reason(error)}") from error

    async def _body(self, head: Head) -> bytes:
        """Returns the body of an answer; raises it if it is an error."""
        if head.length > MAX_REPLY_BYTES:
            raise HubUnreachable(
                f"the hub would answer with {head.length} bytes, which is too much"
            )
        pieces: list[bytes] = []

        async def take(piece: bytes) -> None:
            pieces.append(piece)

        await self._pieces(head.length, take)
        body = b"".join(pieces)
        if head.status != 200:
            raise HubRefuses(f"the hub refuses: {_told(head.status, body)}")
        if head.headers.get("connection", "").lower() == "close":
            self._drop()
        return body

    async def _pieces(self, length: int, take: Callable[[bytes], Awaitable[None]]) -> None:
        assert self._streams is not None
        reader, left = self._streams[0], length
        while left:
            try:
                async with asyncio.timeout(PAUSE_S):
                    piece = await reader.read(min(left, _PIECE_BYTES))
            except (OSError, TimeoutError) as error:
                raise HubUnreachable(f"the hub stopped answering: {_reason(error)}") from error
            if not piece:
                raise HubUnreachable(f"the hub's answer ended {left} bytes early")
            left -= len(piece)
            await take(piece)

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _request(host: str, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _head(data: bytes) -> Head:
    """Parses the head of an answer.

    Raises:
        HubUnreachable: It is none.
    """
    first, *lines = data.decode("latin-1").split("\r\n")[:-2]
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isascii() or not status.isdigit():
        raise HubUnreachable(f"what answers is no hub of edgefn: {first[:100]!r}")
    pairs = (line.partition(":") for line in lines)
    return Head(int(status), {name.strip().lower(): value.strip() for name, _, value in pairs})


def _told(status: int, body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])[:500]
    except (msgspec.MsgspecError, KeyError, TypeError, UnicodeDecodeError):
        return f"status {status}, which is not an error of edgefn"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not of this fleet ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
