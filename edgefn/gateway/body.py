"""Reads the bodies of requests, within limits that are checked before anything is read."""

import asyncio
from typing import Final

from aiohttp import web

from edgefn.errors import EdgefnError
from edgefn.gateway.errors import (
    BodyTooLarge,
    LengthRequired,
    MalformedRequest,
    Unavailable,
    UnsupportedMediaType,
)
from edgefn.gateway.headers import CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING

_SMALL_BYTES: Final = 64 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyMemory:
    """Bounds the memory that large bodies hold, from when they are announced to their answer.

    Without it, as many connections as are allowed, each with a body as large as is allowed, would
    take all memory of a small machine.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0

    def hold(self, size_bytes: int) -> int:
        """Reserves memory for a body; returns what to give to `free` later.

        Raises:
            Unavailable: There is too little left.
        """
        if size_bytes <= _SMALL_BYTES:
            return 0
        if self._held_bytes + size_bytes > self._max_bytes:
            raise Unavailable(
                f"{self._held_bytes} bytes of bodies are under way; together with these "
                f"{size_bytes} that is more than {self._max_bytes}. Try again later"
            )
        self._held_bytes += size_bytes
        return size_bytes

    def free(self, size_bytes: int) -> None:
        """Gives back what `hold` returned."""
        self._held_bytes -= size_bytes


def announced_bytes(request: web.BaseRequest, max_bytes: int, *, required: bool = True) -> int:
    """Returns the length of the body that a request's head announces.

    Args:
        request: Its body is not touched.
        max_bytes: Most that is accepted.
        required: Whether the length must be told even if there is no body.

    Raises:
        MalformedRequest: Transfer-Encoding on HTTP/1.0.
        LengthRequired: No Content-Length, or a chunked body.
        UnsupportedMediaType: The body is compressed.
        BodyTooLarge: It is longer than `max_bytes`.
    """
    headers = request.headers
    if TRANSFER_ENCODING in headers:
        if request.version < (1, 1):
            raise MalformedRequest("HTTP/1.0 has no Transfer-Encoding; send Content-Length")
        raise LengthRequired("chunked bodies are not accepted here; send Content-Length")
    if CONTENT_ENCODING in headers:
        raise UnsupportedMediaType(
            f"Content-Encoding {headers[CONTENT_ENCODING][:100]!r} is not accepted; send the body "
            "as it is, without the header"
        )
    told = headers.get(CONTENT_LENGTH)
    if told is None:
        if required:
            raise LengthRequired("there is no Content-Length")
        return 0
    length = int(told)  # aiohttp's parser has checked that it is digits
    if length > max_bytes:
        raise BodyTooLarge(f"the body has {length} bytes; at most {max_bytes} are accepted here")
    return length


async def read_body(
    request: web.BaseRequest, length: int, timeout_s: float, late: EdgefnError
) -> bytes:
    """Returns the body, whose announced length was checked.

    Args:
        request: What it belongs to.
        length: Its announced length.
        timeout_s: How long to wait for all of it.
        late: Raised when it has not come by then.
    """
    content = request.content
    if content.is_eof():
        return content.read_nowait()
    send_continue(request)
    content.set_read_chunk_size(length)
    timer = asyncio.get_running_loop().call_later(timeout_s, content.set_exception, late)
    try:
        parts = [part async for part in content.iter_any()]
    finally:
        timer.cancel()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def send_continue(request: web.BaseRequest) -> None:
    """Tells a caller that waits for it to send the body."""
    if request.headers.get(EXPECT, "").lower() == "100-continue" and request.transport:
        request.transport.write(_CONTINUE)
