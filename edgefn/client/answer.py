"""A reply of a box, as an object."""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from edgefn.client.errors import CallFailed, error_of

_TENSOR_KEYS = {"dtype", "shape", "data"}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a function answered, and how the call went.

    Attributes:
        value: The function's answer. Typed tensors are read-only `np.ndarray`.
        variant: Variant of the model that answered.
        tier: Tier of the box that answered.
        box: Name of the box that answered.
        sla: `met`, `missed` or `degraded`; empty for a call without a deadline.
        queue_ms: Time that the call waited in the replica.
        compute_ms: Time that the function ran, decoding and encoding included.
        cold_ms: Time that the call waited for a replica to start, mostly 0.
        elapsed_ms: From the first byte sent to the last received, as the client saw it; with what
            went before if the call was sent more than once.
        request_id: To be looked for in logs.
    """

    value: Any
    variant: str = ""
    tier: str = ""
    box: str = ""
    sla: str = ""
    queue_ms: float = 0.0
    compute_ms: float = 0.0
    cold_ms: float = 0.0
    elapsed_ms: float = 0.0
    request_id: str = ""


def answer_of(status: int, headers: Mapping[str, str], body: bytes, elapsed_ms: float) -> Answer:
    """Returns the answer that a reply carries.

    Args:
        status: HTTP status.
        headers: By lower-case name, or a mapping that ignores case.
        body: As received.
        elapsed_ms: Measured by the caller.

    Raises:
        EdgefnError: The reply is an error; the class says which.
    """
    if status >= 300:
        raise error_of(status, headers, body)
    timing = server_timing(headers.get("server-timing", ""))
    return Answer(
        value=_decode(headers.get("content-type", ""), body),
        variant=headers.get("edgefn-variant", ""),
        tier=headers.get("edgefn-tier", ""),
        box=headers.get("edgefn-box", ""),
        sla=headers.get("edgefn-sla", ""),
        queue_ms=timing.get("queue", 0.0),
        compute_ms=timing.get("compute", 0.0),
        cold_ms=timing.get("cold", 0.0),
        elapsed_ms=elapsed_ms,
        request_id=headers.get("x-request-id", ""),
    )


def server_timing(header: str) -> dict[str, float]:
    """Returns the durations of a `Server-Timing` header in ms, without what is not one."""
    durations = {}
    for metric in header.split(","):
        name, _, parameters = metric.partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip() == "dur":
                try:
                    durations[name.strip()] = float(value)
                except ValueError:
                    continue
    return durations


def _decode(content_type: str, body: bytes) -> Any:
    content = content_type.partition(";")[0].strip()
    try:
        if content == "application/msgpack":
            return _with_arrays(msgspec.msgpack.decode(body))
        if content == "application/json":
            return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CallFailed(f"the answer is not valid {content}: {error}") from error
    raise CallFailed(
        f"the answer has content type {content!r}, not JSON or msgpack; is the URL that of a box?"
    )


def _with_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == _TENSOR_KEYS and isinstance(value["data"], bytes):
            return _array(value)
        return {key: _with_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item) for item in value]
    return value


def _array(tensor: dict[str, Any]) -> Any:
    import numpy as np  # only who gets tensors pays for it

    kind = np.dtype(tensor["dtype"]).newbyteorder("<")
    array = np.frombuffer(tensor["data"], dtype=kind).reshape(tensor["shape"])
    return array if sys.byteorder == "little" else array.astype(kind.newbyteorder("="))
