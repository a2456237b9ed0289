"""Requests of a box to the hub of its fleet: over mutual TLS, on a connection that is kept."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
import msgspec

from edgefn.access.files import AccessFiles
from edgefn.access.tls import FLEET_NAME, hub_context
from edgefn.desired.errors import HubRefuses, HubUnreachable
from edgefn.errors import ConfigError

CONNECT_S: Final = 10.0
PAUSE_S: Final = 20.0  # at the longest between two pieces of an answer
MAX_REPLY_BYTES: Final = 64 * 1024 * 1024


class HubConnection:
    """One connection to the hub. For one request at a time.

    After a failure the next connection shows the certificate that the box has by then.

    Args:
        files: Of the box that joined.
    """

    def __init__(self, files: AccessFiles) -> None:
        self._files = files
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, timeout_s: float = PAUSE_S
    ) -> bytes:
        """Returns the body of the answer. A `GET` may be sent twice.

        Args:
            method: Of HTTP.
            target: Path and query.
            body: JSON, or nothing.
            timeout_s: For which nothing may come.

        Raises:
            HubUnreachable: There is no answer, or none of the hub.
            HubRefuses: The answer is an error.
        """
        options: dict[str, Any] = {}
        if body:
            options = {"data": body, "headers": {"Content-Type": "application/json"}}
        async with self._answer(method, target, timeout_s, options) as answer:
            return await _body(answer)

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
        options = {"headers": {"Range": f"bytes={offset}-"}}
        async with self._answer("GET", target, PAUSE_S, options) as answer:
            if answer.status not in (200, 206):
                await _body(answer)
            if answer.content_length != size - offset:
                raise HubUnreachable(
                    f"of {target} from byte {offset} on {answer.content_length} bytes would come, "
                    f"not {size - offset}"
                )
            while piece := await _next_piece(answer):
                await take(piece)

    async def aclose(self) -> None:
        """Closes the connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @asynccontextmanager
    async def _answer(
        self, method: str, target: str, timeout_s: float, options: Mapping[str, Any]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends a request; whatever fails until the answer is read closes the connection."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=timeout_s)
        try:
            with _as_unreachable():
                session = self._session = self._session or self._open()
                answer = await session.request(
                    method, self._files.hub() + target, timeout=timeout,
                    server_hostname=FLEET_NAME, allow_redirects=False, **options,
                )  # fmt: skip
            async with answer:
                yield answer
        except BaseException:
            await self.aclose()
            raise

    def _open(self) -> aiohttp.ClientSession:
        context = hub_context(self._files.fleet, self._files.certificate)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Returns the body of an answer; raises it if it is an error."""
    length = answer.content_length
    if length is None or length > MAX_REPLY_BYTES:
        told = "does not say how much comes" if length is None else f"would send {length} bytes"
        raise HubUnreachable(f"what answers is no hub of edgefn: it {told}")
    with _as_unreachable():
        body = await answer.read()
    if answer.status != 200:
        raise HubRefuses(f"the hub refuses: {_told(answer.status, body)}")
    return body


async def _next_piece(answer: aiohttp.ClientResponse) -> bytes:
    """Returns what came of a body since the last piece; nothing at its end."""
    with _as_unreachable():
        return await answer.content.readany()


@contextmanager
def _as_unreachable() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError, ConfigError) as error:  # a TimeoutError is an OSError
        raise HubUnreachable(f"the hub does not answer: {_reason(error)}") from error


def _told(status: int, body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])[:500]
    except (msgspec.MsgspecError, KeyError, TypeError, UnicodeDecodeError):
        return f"status {status}, which is not an error of edgefn"


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "")
        return f"its certificate is not of this fleet ({why})" if why else str(error.args[-1])
    if isinstance(error, aiohttp.ClientPayloadError):
        return "its answer ended early"
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
