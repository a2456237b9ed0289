"""What can go wrong between a client and a box, and error replies back into typed errors."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from edgefn import errors
from edgefn.errors import EdgefnError, ErrorBody


class CallFailed(EdgefnError):
    """The box answered with an error that has no class of its own.

    `detail` has its `status`, and its `code` if it is one of ours.
    """

    code = "call_failed"


class Unreachable(EdgefnError):
    """No connection to the box: nothing was sent."""

    code = "unreachable"


class ConnectionLost(EdgefnError):
    """The call was sent, and the connection ended before its answer: it may or may not have run."""

    code = "connection_lost"


class ErrorReply(msgspec.Struct, frozen=True):
    """The one shape of an error on the wire."""

    error: ErrorBody
    request_id: str = ""


_CLASSES: Final[dict[str, type[EdgefnError]]] = {
    kind.code: kind
    for kind in (getattr(errors, name) for name in errors.__all__)
    if issubclass(kind, EdgefnError) and kind is not EdgefnError
}
_SHOWN_BYTES: Final = 200


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> EdgefnError:
    """Returns the error that a reply with this status (400 or above) stands for.

    Its `detail` has what the box said, and the `request_id`.
    """
    content = headers.get("content-type", "").partition(";")[0].strip()
    decode: Any = (
        msgspec.msgpack.decode if content == "application/msgpack" else msgspec.json.decode
    )
    try:
        reply = decode(body, type=ErrorReply)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[:_SHOWN_BYTES].decode(errors="replace").strip()
        return CallFailed(
            f"status {status} ({content or 'no content type'}), which is not an error of edgefn: "
            f"{text or 'no body'}. Is the URL that of a box?",
            status=status,
        )
    detail = {**reply.error.detail, "request_id": reply.request_id}
    kind = _CLASSES.get(reply.error.code)
    if kind is None:
        detail |= {"status": status, "code": reply.error.code}
    return (kind or CallFailed)(reply.error.message, **detail)


def unreachable(url: str, reason: str) -> Unreachable:
    """Returns the error for a connection that was never made."""
    return Unreachable(f"no box answers at {url}: {reason}. Start one with: edgefn up", url=url)


def connection_lost(url: str, reason: str) -> ConnectionLost:
    """Returns the error for a call that was sent and never answered."""
    return ConnectionLost(
        f"the connection to {url} ended before the answer came: {reason}. What was asked for may "
        "have happened",
        url=url,
    )
