"""JSON and msgpack from strangers: depth and the number of containers are bounded.

A megabyte of empty maps would become a hundred of objects, and a thousand levels break whatever
walks them later.
"""

import re
from typing import Any, Final

import msgspec

from edgefn_runtime.errors import InvalidInput

MAX_DEPTH: Final = 16
MAX_CONTAINERS: Final = 65_536

_CONTAINERS: Final = (dict, list)

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


def decode_json(body: bytes, kind: Any, what: str) -> Any:
    """Returns the value of a JSON text.

    Args:
        body: The text.
        kind: What it must be, for msgspec.
        what: Begins the message if it is not.

    Raises:
        InvalidInput: It is no such JSON, too deep, or has too many containers.
    """
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_CONTAINERS:
        bare = _JSON_STRING.sub(b"", body)
        _check_containers(bare.count(b"[") + bare.count(b"{"))
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{what}: {error}", path="$") from error
    except RecursionError as error:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH}", path="$") from error
    if brackets > MAX_DEPTH:
        _check_depth(value, MAX_DEPTH, "$")
    if kind is Any:
        return value
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{what}: {error}", path="$") from error


def decode_msgpack(body: bytes) -> Any:
    """Returns the value of msgpack bytes.

    Raises:
        InvalidInput: They are no msgpack, too deep, or have too many containers.
    """
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
        if isinstance(item, _CONTAINERS):
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
