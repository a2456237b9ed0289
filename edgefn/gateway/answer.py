"""An HTTP answer that is written in one piece.

`aiohttp.web.Response` builds its headers in a multidict, completes them one by one and serialises
them: that is nearly half of what a small call costs. Here the headers are bytes from the start,
most of them made once, and aiohttp's server is given what it asks of an answer: `prepare`,
`write_eof` and `keep_alive`.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from edgefn.errors import ErrorBody
from edgefn.gateway.http_bytes import CONTENT_TYPES, answer_head, error_head
from edgefn.gateway.statuses import Shape, encode_error, ends_connection, status_of

if TYPE_CHECKING:
    from edgefn.gateway.connection import Connection

_JOIN_BYTES: Final = 64 * 1024  # larger bodies are not copied behind their head


class Answer:
    """A whole answer.

    It stands where aiohttp expects a `StreamResponse`, whose constructor alone costs more than all
    of this.

    Args:
        status: HTTP status.
        head: Header lines beyond those that every answer has, each ended by CR LF.
        body: The body; for HEAD only its length is told.
        close: Whether the connection ends with it.
    """

    __slots__ = ("_body", "_close", "_head", "_request", "status")

    def __init__(self, status: int, head: bytes, body: bytes, *, close: bool = False) -> None:
        self.status = status
        self._head = head
        self._body = body
        self._close = close
        self._request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        return not self._close

    async def prepare(self, request: web.BaseRequest) -> None:
        """Takes note of the request; called by aiohttp."""
        self._note(request)

    async def write_eof(self) -> None:
        """Writes all of it, and waits while the caller does not read; called by aiohttp.

        Raises:
            ConnectionResetError: The caller is gone.
        """
        request = self._write()
        if request.protocol.writing_paused:
            await request.writer.drain()

    def write(self, request: web.BaseRequest) -> None:
        """Writes all of it, whether the caller reads or not.

        Raises:
            ConnectionResetError: The caller is gone.
        """
        self._note(request)
        self._write()

    def _note(self, request: web.BaseRequest) -> None:
        self._request = request
        connection = cast("Connection", request.protocol)
        if not request.keep_alive or connection.draining:
            self._close = True

    def _write(self) -> web.BaseRequest:
        request, transport, line = self._begin()
        head = answer_head(self.status, self._head, len(self._body), line)
        if request.method == "HEAD":
            transport.write(head)
        elif len(self._body) < _JOIN_BYTES:
            transport.write(head + self._body)
        else:
            transport.writelines((head, self._body))
        return request

    def _begin(self) -> tuple[web.BaseRequest, asyncio.Transport, bytes]:
        """Returns the request, where its answer is written, and the `Connection` header line.

        Raises:
            ConnectionResetError: The caller is gone.
        """
        request = self._request
        assert request is not None
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        if self._close:
            return request, transport, b"Connection: close\r\n"
        line = b"" if request.version >= (1, 1) else b"Connection: keep-alive\r\n"
        return request, transport, line


def json_answer(body: bytes, *, status: int = 200) -> Answer:
    """Returns an answer of JSON bytes."""
    return Answer(status, CONTENT_TYPES[Shape.JSON], body)


def error_answer(
    error: ErrorBody, request_id: str, shape: Shape, *, head: bytes = b"", close: bool = False
) -> Answer:
    """Returns the answer to a request that failed."""
    return Answer(
        status_of(error.code),
        error_head(error, request_id, shape) + head,
        encode_error(error, request_id, shape),
        close=close or ends_connection(error.code),
    )
