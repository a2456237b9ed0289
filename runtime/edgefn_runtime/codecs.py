"""Bodies to payloads and back: JSON, msgpack, one image or sound, and V2.

A payload is a dict of plain values, with arrays and the bytes of media among them; whether it fits
a function is the signature's to say.
"""

from typing import Any

import msgspec
import numpy as np

from edgefn_runtime import v2
from edgefn_runtime.errors import FunctionFailed, InvalidInput
from edgefn_runtime.limits import decode_json, decode_msgpack
from edgefn_runtime.media import PCM_TYPE, WAV_TYPES
from edgefn_runtime.servable import Signature
from edgefn_runtime.wire import Call, CallHead, Content


def decode(call: Call, signature: Signature) -> dict[str, Any]:
    """Returns the payload of a call: one entry for each field that the caller sent.

    Raises:
        InvalidInput: The body is not what its content type says, or too deep, or has too many
            containers.
    """
    if call.content == Content.MSGPACK:
        value = decode_msgpack(call.body)
    elif call.content == Content.JSON:
        value = decode_json(call.body, Any, "not JSON")
    elif call.content == Content.V2:
        return v2.decode(call.body, call.aux, signature)
    else:
        return {_media_field(signature): _media(call)}
    if not isinstance(value, dict):
        names = ", ".join(field.name for field in signature.inputs) or "nothing in it"
        raise InvalidInput(
            f"the body is {_kind_of(value)}; an object was expected with {names}", path="$"
        )
    return value


def encode(payload: Any, call: Call, signature: Signature) -> tuple[int, int, bytes]:
    """Returns an answer as the call wants it: content, aux, body.

    Raises:
        FunctionFailed: Something in it has no place in that encoding.
    """
    try:
        if call.accept == Content.V2:
            aux, body = v2.encode(payload, call.body, call.aux, signature)
            return Content.V2, aux, body
        if call.accept == Content.MSGPACK:
            return Content.MSGPACK, 0, msgspec.msgpack.encode(payload, enc_hook=_spell_msgpack)
        return Content.JSON, 0, msgspec.json.encode(payload, enc_hook=_spell_json)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise FunctionFailed(f"the answer cannot be encoded: {error}") from error


def _media(call: Call) -> bytes:
    """Returns the bytes of a whole body, if they are what its content type says."""
    told = msgspec.msgpack.decode(call.head, type=CallHead).media_type if call.head else ""
    kind, _, parameters = told.partition(";")
    if kind.strip().lower() in WAV_TYPES and call.body[:4] != b"RIFF":
        raise InvalidInput(f"Content-Type is {kind}, but the body is no WAV file", path="$")
    if kind.strip().lower() == PCM_TYPE and parameters.strip():
        raise InvalidInput(
            f"{told}: bare {PCM_TYPE} is 16 bits, little-endian, one channel, at the rate that the "
            "function declares; send anything else as WAV",
            path="$",
        )
    return call.body


def _media_field(signature: Signature) -> str:
    if not signature.media_field:
        raise InvalidInput(
            f"{signature.name!r} needs more than one image or sound; send JSON or msgpack", path="$"
        )
    return signature.media_field


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "a list"
    return f"a {type(value).__name__}"


def _spell_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _spell_msgpack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tensor_map(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no msgpack form")


def tensor_map(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Returns an array as the typed map of a msgpack body."""
    return {
        "dtype": array.dtype.name,
        "shape": array.shape,
        "data": np.ascontiguousarray(array)
        .astype(array.dtype.newbyteorder("<"), copy=False)
        .tobytes(),
    }
