"""A call's inputs into the body of a request: JSON where that says it all, msgpack where not."""

import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edgefn.errors import InvalidInput
from edgefn_runtime.manifest import NAME_PATTERN

Encoding = Literal["json", "msgpack"]

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"

_NAME = re.compile(NAME_PATTERN)
_SUFFIXES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".pcm": "audio/pcm",
    ".raw": "audio/pcm",
}


class Request(msgspec.Struct, frozen=True):
    """One request, but for its deadline.

    Attributes:
        path: Below the URL of the box.
        content_type: Of the body.
        accept: Content type wanted for the answer.
        body: As sent.
    """

    path: str
    content_type: str
    accept: str
    body: bytes


def request_of(
    function: str,
    inputs: Mapping[str, Any],
    *,
    file: Path | bytes | None = None,
    encoding: Encoding | None = None,
) -> Request:
    """Returns the request for one call.

    Args:
        function: Name of the function.
        inputs: Parameter name to value: plain JSON values, `np.ndarray`, bytes, a `Path` (the
            content of that file), pydantic models, and lists and dicts of them.
        file: One image or sound, which is the whole body; then there are no `inputs`.
        encoding: Forces one. By default JSON, unless something in the inputs has no natural place
            in it: an array, bytes, a number that is not finite.

    Raises:
        InvalidInput: The name is none, an input cannot be encoded, or a file cannot be read.
    """
    if not _NAME.fullmatch(function):
        raise InvalidInput(
            f"{function!r} cannot be the name of a function: lower-case letters, digits, - and _"
        )
    path = f"/v1/functions/{function}"
    if file is not None:
        if inputs:
            raise InvalidInput(
                f"file= is the whole body, but there is also {next(iter(inputs))!r}; pass the file "
                "as an input by its parameter's name instead"
            )
        data = _read(file, "file") if isinstance(file, Path) else file
        return Request(path, media_type(file, data), MSGPACK, data)
    plain = _Plain(inputs)
    if encoding == "msgpack" or (encoding is None and not (plain.is_finite and plain.is_text)):
        return Request(path, MSGPACK, MSGPACK, _encoded(msgspec.msgpack.encode, plain.value))
    if not plain.is_finite:
        raise InvalidInput("JSON has no NaN and no infinity; leave the encoding to be chosen")
    return Request(path, JSON, JSON, _encoded(msgspec.json.encode, plain.value))


def media_type(file: Path | bytes, data: bytes) -> str:
    """Returns the content type of an image or sound, by its first bytes, else by its suffix.

    Raises:
        InvalidInput: It is none that edgefn knows.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    if data[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/png"
    by_suffix = _SUFFIXES.get(file.suffix.lower()) if isinstance(file, Path) else None
    if by_suffix is None:
        what = f"{str(file)!r}" if isinstance(file, Path) else f"{len(data)} bytes"
        raise InvalidInput(f"{what} is neither WAV nor raw PCM (.pcm) nor JPEG nor PNG")
    return by_suffix


class _Plain:
    """Inputs as builtins and bytes, arrays as typed tensors.

    Attributes:
        value: What is to be encoded.
        is_text: Whether there are no bytes in it.
        is_finite: Whether all its numbers are.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.is_text = True
        self.is_finite = True
        try:
            self.value = {name: self._plain(value, name) for name, value in inputs.items()}
        except RecursionError as error:
            raise InvalidInput("the inputs are nested too deep, or hold themselves") from error

    def _plain(self, value: Any, name: str) -> Any:
        if value is None or isinstance(value, str | int):
            return value
        if isinstance(value, float):
            self.is_finite = self.is_finite and math.isfinite(value)
            return value
        if isinstance(value, Mapping):
            return {key: self._plain(item, name) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item, name) for item in value]
        if isinstance(value, bytes | bytearray | memoryview | Path):
            self.is_text = False
            return _read(value, name) if isinstance(value, Path) else bytes(value)
        if hasattr(value, "read"):  # an open file
            return self._plain(value.read(), name)
        if hasattr(value, "model_dump"):
            return self._plain(value.model_dump(), name)
        return self._number(value, name)

    def _number(self, value: Any, name: str) -> Any:
        numpy = sys.modules.get("numpy")  # who never imported it has no array to send
        if numpy is not None and isinstance(value, numpy.generic):
            return self._plain(value.item(), name)
        if numpy is None or not isinstance(value, numpy.ndarray) or value.dtype.kind not in "biuf":
            what = f"an array of {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
            raise InvalidInput(f"{name}: {what} has no place in a call; send numbers, text, arrays")
        self.is_text = False
        array = value.astype(value.dtype.newbyteorder("<"), copy=False)
        return {"dtype": array.dtype.name, "shape": list(array.shape), "data": array.tobytes()}


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name}: cannot read {str(path)!r}: {error.strerror}") from error


def _encoded(encode: Callable[[Any], bytes], value: Mapping[str, Any]) -> bytes:
    try:
        return encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"the inputs cannot be encoded: {error}") from error
