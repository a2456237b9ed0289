"""Bodies to payloads and back: JSON, msgpack, one image or sound, and V2.

A payload is a dict of plain values, with arrays and the bytes of media among them; whether it fits
a function is the signature's to say. Depth and the number of containers are bounded first, since a
megabyte of empty maps would become a hundred of objects.
"""

import re
from typing import Any, Final

import msgspec
import numpy as np

from edgefn_runtime import v2
from edgefn_runtime.errors import FunctionFailed, InvalidInput
from edgefn_runtime.servable import Signature
from edgefn_runtime.wire import Call, Content

MAX_DEPTH: Final = 16
MAX_CONTAINERS: Final = 65_536

_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MSGPACK_CONTAINERS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
# How many bytes follow a msgpack tag: a fixed number, or a length in so many bytes (negative).
_MSGPACK_FIXED: Final = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4,
}  # fmt: skip
_MSGPACK_SIZED: Final = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip


def decode(call: Call, signature: Signature) -> dict[str, Any]:
    """Returns the payload of a call: one entry for each field that the caller sent.

    Raises:
        InvalidInput: The body is not what its content type says, or too deep, or has too many
            containers.
    """
    if call.content == Content.MSGPACK:
        value = _decode_msgpack(call.body)
    elif call.content == Content.JSON:
        value = _decode_json(call.body)
    elif call.content == Content.V2:
        return v2.decode(call.body, call.aux, signature)
    else:
        return {_media_field(signature): call.body}
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


def _decode_json(body: bytes) -> Any:
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_CONTAINERS:
        bare = _JSON_STRING.sub(b"", body)
        _check_containers(bare.count(b"[") + bare.count(b"{"))
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"not JSON: {error}", path="$") from error
    except RecursionError as error:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH}", path="$") from error
    if brackets > MAX_DEPTH:
        _check_depth(value, MAX_DEPTH, "$")
    return value


def _decode_msgpack(body: bytes) -> Any:
    # No more containers than bytes that could be one's tag; most of those are some number's.
    tags = len(body) - len(body.translate(None, _MSGPACK_CONTAINERS))
    if tags > MAX_CONTAINERS:
        _check_containers(_count_msgpack_containers(body))
    try:
        value = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"not msgpack: {error}", path="$") from error
    except RecursionError as error:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH}", path="$") from error
    if tags > MAX_DEPTH:
        _check_depth(value, MAX_DEPTH, "$")
    return value


def _check_containers(count: int) -> None:
    if count > MAX_CONTAINERS:
        raise InvalidInput(
            f"more than {MAX_CONTAINERS} lists and maps; send arrays as typed tensors", path="$"
        )


def _check_depth(value: Any, left: int, path: str) -> None:
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    if left == 0:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH}", path=path[:200])
    for key, item in items:
        if isinstance(item, dict | list):
            _check_depth(item, left - 1, f"{path}.{key}")


def _count_msgpack_containers(body: bytes) -> int:
    """Counts lists and maps tag by tag, up to one more than may be."""
    position, count, end = 0, 0, len(body)
    while position < end and count <= MAX_CONTAINERS:
        tag = body[position]
        position += 1
        if 0x80 <= tag < 0xA0 or 0xDC <= tag < 0xE0:
            count += 1
        if 0xA0 <= tag < 0xC0:
            position += tag & 0x1F
        elif tag in _MSGPACK_SIZED:
            width, more = _MSGPACK_SIZED[tag]
            position += width + more + int.from_bytes(body[position : position + width], "big")
        else:
            position += _MSGPACK_FIXED.get(tag, 0)
    return count


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
