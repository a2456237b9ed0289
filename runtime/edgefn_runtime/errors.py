"""The errors of a call, wherever they are found.

    EdgefnError
    ├── InvalidInput            the caller's bytes do not fit the function's schema
    ├── QueueFull               the replica has as much work as it may hold
    ├── DeadlineUnattainable    refused before it ran: it could not have been answered in time
    ├── DeadlineExceeded        it ran, or waited, until its deadline had passed
    ├── TimedOut                the function ran longer than its `timeout_s`
    ├── FunctionFailed          the function raised, or answered something that does not fit
    ├── ReplicaLost             the process that held the call died
    ├── LoadFailed              a function does not import, or a model does not load
    └── ProtocolError           the bytes on a socket are not our frames

Each has a stable `code`, which is what travels; which HTTP status a code becomes is the gateway's
business.
"""

from typing import Any, ClassVar

import msgspec


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it travels: a stable code, a sentence, and details for a program."""

    code: str
    message: str
    detail: dict[str, Any] = {}


class EdgefnError(Exception):
    """Anything that edgefn raises on purpose. The message says what, where and what to do."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    def body(self) -> ErrorBody:
        """Returns the error as it travels."""
        return ErrorBody(self.code, self.message, self.detail)


class InvalidInput(EdgefnError):
    """The caller's input does not fit; a function may raise it too, and the caller gets a 400."""

    code = "invalid_input"


class QueueFull(EdgefnError):
    """The replica holds as much work as it may; try again later or elsewhere."""

    code = "queue_full"


class DeadlineUnattainable(EdgefnError):
    """Refused before it ran, because it could not have been answered in time."""

    code = "deadline_unattainable"


class DeadlineExceeded(EdgefnError):
    """The deadline passed while the call waited or ran."""

    code = "deadline_exceeded"


class TimedOut(EdgefnError):
    """The function ran longer than its `timeout_s`."""

    code = "timed_out"


class FunctionFailed(EdgefnError):
    """The user's function raised, or returned what its annotation does not allow."""

    code = "function_failed"


class ReplicaLost(EdgefnError):
    """The process that held the call died before it answered."""

    code = "replica_lost"


class LoadFailed(EdgefnError):
    """A function does not import, or one of its models does not load."""

    code = "load_failed"


class ProtocolError(EdgefnError):
    """The bytes on a socket are not our frames."""

    code = "protocol_error"
