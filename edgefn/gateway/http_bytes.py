"""HTTP answers as bytes, for the hot path and for where there is no request to answer."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from edgefn.errors import ErrorBody
from edgefn.gateway.statuses import Shape, encode_error, retry_after_s, status_of

CONTENT_TYPES: Final = {
    Shape.JSON: b"Content-Type: application/json\r\n",
    Shape.MSGPACK: b"Content-Type: application/msgpack\r\n",
    Shape.V2: b"Content-Type: application/json\r\n",
}


@lru_cache(maxsize=64)
def _status_lines(status: int) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    return f"HTTP/1.1 {status} {reason}\r\nServer: edgefn\r\n".encode("ascii")


@lru_cache(maxsize=2)
def _date_line(now_s: int) -> bytes:
    return f"Date: {formatdate(now_s, usegmt=True)}\r\n".encode("ascii")


def answer_head(status: int, head: bytes, body_bytes: int, connection: bytes) -> bytes:
    """Returns all that stands before a body, the empty line included.

    Args:
        status: HTTP status.
        head: Header lines of this answer, each ended by CR LF.
        body_bytes: Length of the body.
        connection: The `Connection` header line, or nothing.
    """
    return b"%b%b%b%bContent-Length: %d\r\n\r\n" % (
        _status_lines(status),
        _date_line(int(time.time())),
        head,
        connection,
        body_bytes,
    )


def error_head(error: ErrorBody, request_id: str, shape: Shape) -> bytes:
    """Returns the header lines of an error answer."""
    head = b"%bX-Request-Id: %b\r\n" % (CONTENT_TYPES[shape], request_id.encode("ascii"))
    after_s = retry_after_s(error)
    if after_s is not None:
        head += b"Retry-After: %d\r\n" % after_s
    if error.code == "unauthorized":
        head += b"WWW-Authenticate: Bearer\r\n"
    allow = error.detail.get("allow")
    if error.code == "method_not_allowed" and isinstance(allow, list):
        head += b"Allow: %b\r\n" % ", ".join(allow).encode("ascii")
    return head


def raw_error(error: ErrorBody, request_id: str) -> bytes:
    """Returns all of an error answer that ends its connection."""
    body = encode_error(error, request_id, Shape.JSON)
    head = error_head(error, request_id, Shape.JSON)
    return answer_head(status_of(error.code), head, len(body), b"Connection: close\r\n") + body
