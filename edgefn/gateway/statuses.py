"""Which HTTP status each error code becomes, and the one shape in which errors are answered."""

import enum
import math
from typing import Final

import msgspec

from edgefn.errors import ErrorBody
from edgefn.gateway.control import Answered

STATUSES: Final[dict[str, int]] = {
    "invalid_input": 400,
    "malformed_request": 400,
    "unauthorized": 401,
    "bad_signature": 403,
    "expired": 403,
    "forbidden": 403,
    "untrusted": 403,
    "not_found": 404,
    "unknown_function": 404,
    "unknown_variant": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "conflict": 409,
    "older": 409,
    "out_of_step": 409,
    "length_required": 411,
    "body_too_large": 413,
    "bundle_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "accuracy_unattainable": 422,
    "blob_missing": 422,
    "deployment_failed": 422,
    "digest_mismatch": 422,
    "invalid_manifest": 422,
    "queue_full": 429,
    "too_many_failures": 429,
    "function_failed": 502,
    "load_failed": 502,
    "replica_lost": 502,
    "quarantined": 503,
    "too_many_connections": 503,
    "unavailable": 503,
    "variant_unavailable": 503,
    "deadline_exceeded": 504,
    "deadline_unattainable": 504,
    "timed_out": 504,
    "outbox_full": 507,
    "storage_failed": 507,
}

# Seconds that a refused caller is asked to wait if the error says nothing of it (None: then none).
# Not for a quarantine, which ends with the next deployment only.
_RETRY_AFTER_S: Final[dict[str, int | None]] = {
    "deadline_unattainable": None,
    "queue_full": 1,
    "variant_unavailable": None,
    "too_many_failures": 60,
    "too_many_connections": 1,
    "unavailable": 1,
}
_CLOSING: Final = frozenset(
    {"malformed_request", "request_timeout", "too_many_connections", "too_many_failures"}
)
_INTERNAL: Final = ErrorBody(
    "internal", "the gateway failed; its log says more under this request id"
)


class Shape(enum.Enum):
    """How an error is written."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"
    V2 = "application/json; v2"  # the Open Inference Protocol has a shape of its own


def status_of(code: str) -> int:
    """Returns the HTTP status of an error code; 500 for those that are nobody else's business."""
    return STATUSES.get(code, 500)


def retry_after_s(error: ErrorBody) -> int | None:
    """Returns the whole seconds after which another try makes sense, or None."""
    if error.code not in _RETRY_AFTER_S:
        return None
    default = _RETRY_AFTER_S[error.code]
    told = error.detail.get("retry_after_s")
    if isinstance(told, int | float) and math.isfinite(told):
        return max(1, math.ceil(told))
    return default


def ends_connection(code: str) -> bool:
    """Whether what follows on the connection cannot be trusted, or is not wanted."""
    return code in _CLOSING


def encode_error(error: ErrorBody, request_id: str, shape: Shape) -> bytes:
    """Returns the body of an error answer. Of an internal error it tells nothing but the id."""
    if error.code not in STATUSES:
        error = _INTERNAL
    if shape is Shape.V2:
        return msgspec.json.encode({"error": error.message})
    body = {
        "error": {"code": error.code, "message": error.message, "detail": error.detail},
        "request_id": request_id,
    }
    if shape is Shape.MSGPACK:
        return msgspec.msgpack.encode(body)
    return msgspec.json.encode(body)


def refused(number: int, error: ErrorBody) -> Answered:
    """Returns an error as the answer to an `Ask`."""
    told = {"code": error.code, "message": error.message, "detail": error.detail}
    return Answered(number, status_of(error.code), msgspec.json.encode({"error": told}))
