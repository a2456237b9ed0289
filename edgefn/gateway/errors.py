"""What is wrong with a request before any function is concerned.

EdgefnError
├── MalformedRequest        not HTTP as we accept it
├── Forbidden               without a key, from somewhere else than this machine
├── NotFound                no such path
├── MethodNotAllowed        the path exists, not for this method
├── RequestTimeout          the rest of the request did not come
├── LengthRequired          a body without Content-Length
├── BodyTooLarge            a body beyond the limit
├── RangeNotSatisfiable     a range of bytes that a blob does not have
├── UnsupportedMediaType    a body in an encoding that is not spoken here
├── TooManyFailures         too many requests from one address showed no key that counts
├── TooManyConnections      the gateway holds as many connections as it may
├── Unavailable             the gateway cannot serve this now
├── StorageFailed           the disk is full, or fails
└── ReplicaError            what a replica answered instead of a result
"""

from edgefn.errors import EdgefnError, ErrorBody


class MalformedRequest(EdgefnError):
    """The bytes are not HTTP, or use what is not accepted here."""

    code = "malformed_request"


class Forbidden(EdgefnError):
    """The admin API is for programs on this machine only."""

    code = "forbidden"


class NotFound(EdgefnError):
    """There is nothing at this path."""

    code = "not_found"


class MethodNotAllowed(EdgefnError):
    """The path exists, but not for this method."""

    code = "method_not_allowed"


class RequestTimeout(EdgefnError):
    """The rest of a request did not come in time."""

    code = "request_timeout"


class LengthRequired(EdgefnError):
    """A body must be announced with Content-Length."""

    code = "length_required"


class BodyTooLarge(EdgefnError):
    """The announced body is larger than what is accepted."""

    code = "body_too_large"


class UnsupportedMediaType(EdgefnError):
    """The body's Content-Type or Content-Encoding is not spoken here."""

    code = "unsupported_media_type"


class RangeNotSatisfiable(EdgefnError):
    """A range of bytes begins behind the end."""

    code = "range_not_satisfiable"


class TooManyFailures(EdgefnError):
    """Too many requests from one address did not show who they are from."""

    code = "too_many_failures"


class TooManyConnections(EdgefnError):
    """The gateway holds as many connections as it may."""

    code = "too_many_connections"


class Unavailable(EdgefnError):
    """The gateway cannot serve this request now; a later one may succeed."""

    code = "unavailable"


class StorageFailed(EdgefnError):
    """The disk is full, or fails."""

    code = "storage_failed"


class ReplicaError(EdgefnError):
    """An error that a replica found; its code says which."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message)
        self._body = body

    def body(self) -> ErrorBody:
        """Returns the error as the replica sent it."""
        return self._body
