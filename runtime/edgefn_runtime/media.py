"""Images and sounds as a caller sends them (JPEG, PNG, WAV, raw PCM), and as a function gets them.

In msgpack and as a whole body they are bytes, in JSON base64. They are decoded in the replica, and
refused by their announced size before they are.
"""

import base64
import binascii
import importlib.util
import io
import wave
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast, get_args

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.tensors import Array

MAX_PIXELS: Final = 64_000_000
IMAGE_TYPES: Final = ("image/jpeg", "image/png")
WAV_TYPES: Final = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
# 16 bits, little-endian, one channel, at the declared rate: not audio/L16, whose bytes are swapped.
PCM_TYPE: Final = "audio/pcm"


def _media_bytes(value: Any, what: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise PydanticCustomError(
                "media", "expected the bytes of {what} in base64: {error}",
                {"what": what, "error": str(error)},
            ) from error  # fmt: skip
    raise PydanticCustomError(
        "media", "expected the bytes of {what}, got {came}",
        {"what": what, "came": type(value).__name__},
    )  # fmt: skip


class _MediaType(ABC):
    """What pydantic asks of an annotation; the rest is in `decode` and `value_type`."""

    content_types: tuple[str, ...]
    value_type: type
    what: str

    @abstractmethod
    def decode(self, data: bytes) -> Any:
        """Returns the value that these bytes encode."""

    def validate(self, value: Any) -> Any:
        """Returns `value` if it is decoded already, else what its bytes encode."""
        return value if isinstance(value, self.value_type) else self.decode(
            _media_bytes(value, self.what)
        )  # fmt: skip

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.encode()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": self.content_types[0],
            "title": self.what,
            "x-edgefn-media": list(self.content_types),
        }


def media_types_of(annotation: Any) -> tuple[str, ...]:
    """Returns the content types of a parameter that is an image or a sound, else none."""
    if annotation is Image:
        return IMAGE_TYPES
    if annotation is Audio:
        return WAV_TYPES
    for part in get_args(annotation)[1:]:
        if isinstance(part, _MediaType):
            return part.content_types
    return ()


class Image:
    """A decoded image.

    As an annotation: `Image` for RGB, `Image["L"]` for greyscale.

    Attributes:
        pixels: uint8, `(height, width, 3)`, or `(height, width)` for greyscale.
    """

    __slots__ = ("pixels",)

    def __init__(self, pixels: Array) -> None:
        if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
            raise ValueError(
                "Image takes uint8 pixels of shape (height, width, 3) or (height, width), not "
                f"{pixels.dtype} {pixels.shape}"
            )
        self.pixels = pixels

    def __class_getitem__(cls, mode: str) -> Any:
        if mode not in ("RGB", "L"):
            raise TypeError(f'Image[{mode!r}]: write Image (RGB) or Image["L"] (greyscale)')
        return Annotated[cls, _ImageType(cast(Literal["RGB", "L"], mode))]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.pixels, dtype=dtype) if copy else np.asarray(self.pixels, dtype=dtype)

    @classmethod
    def from_file(cls, path: str | Path, mode: Literal["RGB", "L"] = "RGB") -> Self:
        """Reads a JPEG or PNG file."""
        return cast(Self, _ImageType(mode).decode(Path(path).read_bytes()))

    def encode(self) -> bytes:
        """Returns the image as PNG."""
        from PIL import Image as pil

        buffer = io.BytesIO()
        pil.fromarray(self.pixels).save(buffer, "png")
        return buffer.getvalue()

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return _ImageType("RGB").__get_pydantic_core_schema__(source, handler)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _ImageType("RGB").__get_pydantic_json_schema__(schema, handler)


class _ImageType(_MediaType):
    content_types = IMAGE_TYPES
    value_type = Image
    what = "a JPEG or PNG image"

    def __init__(self, mode: Literal["RGB", "L"]) -> None:
        self.mode = mode

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        if importlib.util.find_spec("PIL") is None:  # an extra: most functions take no images
            raise LoadFailed(
                "it takes images, for which Pillow is missing here: pip install 'edgefn[image]'"
            )
        return super().__get_pydantic_core_schema__(source, handler)

    def decode(self, data: bytes) -> Image:
        from PIL import Image as pil  # only functions that take images pay for it
        from PIL import UnidentifiedImageError

        try:
            with pil.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise PydanticCustomError(
                        "image", "the image has {width} x {height} pixels; at most {most} may be",
                        {"width": opened.width, "height": opened.height, "most": MAX_PIXELS},
                    )  # fmt: skip
                return Image(np.asarray(opened.convert(self.mode)))
        except UnidentifiedImageError as error:  # its text names an object of ours
            raise PydanticCustomError(
                "image", "not {what}: its first bytes are those of neither", {"what": self.what}
            ) from error
        except (OSError, SyntaxError, ValueError, pil.DecompressionBombError) as error:
            if isinstance(error, PydanticCustomError):
                raise
            raise PydanticCustomError(
                "image", "not {what}: {error}", {"what": self.what, "error": str(error)}
            ) from error


class Audio:
    """A decoded sound, one channel; several channels are averaged.

    As an annotation: `Audio[16000]` takes only that sampling rate (and raw 16-bit PCM at it);
    `Audio` takes a WAV file of any.

    Attributes:
        samples: float32 in [-1, 1], `(n,)`.
        rate_hz: Samples a second.
    """

    __slots__ = ("rate_hz", "samples")

    def __init__(self, samples: Array, rate_hz: int) -> None:
        if samples.dtype != np.float32 or samples.ndim != 1:
            raise ValueError(
                f"Audio takes float32 samples of shape (n,), not {samples.dtype} {samples.shape}"
            )
        self.samples = samples
        self.rate_hz = rate_hz

    def __class_getitem__(cls, rate_hz: int) -> Any:
        if not isinstance(rate_hz, int) or rate_hz <= 0:
            raise TypeError(
                f"Audio[{rate_hz!r}]: write the sampling rate in Hz, as in Audio[16000]"
            )
        return Annotated[cls, _AudioType(rate_hz)]

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / self.rate_hz

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a WAV file."""
        return cast(Self, _AudioType(None).decode(Path(path).read_bytes()))

    def encode(self) -> bytes:
        """Returns the sound as a WAV file of 16-bit PCM."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate_hz)
            scaled = np.round(np.clip(self.samples, -1.0, 1.0) * 32767)
            file.writeframes(scaled.astype("<i2").tobytes())
        return buffer.getvalue()

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return _AudioType(None).__get_pydantic_core_schema__(source, handler)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _AudioType(None).__get_pydantic_json_schema__(schema, handler)


class _AudioType(_MediaType):
    value_type = Audio
    what = "a WAV file (PCM)"

    def __init__(self, rate_hz: int | None) -> None:
        self.rate_hz = rate_hz
        self.content_types = WAV_TYPES if rate_hz is None else (*WAV_TYPES, PCM_TYPE)

    def validate(self, value: Any) -> Audio:
        audio = cast(Audio, super().validate(value))
        if self.rate_hz not in (None, audio.rate_hz):
            raise PydanticCustomError(
                "audio", "expected {wanted} samples a second, got {came}; resample it first",
                {"wanted": self.rate_hz, "came": audio.rate_hz},
            )  # fmt: skip
        return audio

    def decode(self, data: bytes) -> Audio:
        if data[:4] != b"RIFF" and self.rate_hz is not None:
            if len(data) % 2:
                raise PydanticCustomError(
                    "audio", "raw PCM has two bytes a sample, but {count} bytes came",
                    {"count": len(data)},
                )  # fmt: skip
            return Audio(_pcm_to_float(data, 2, 1), self.rate_hz)
        try:
            with wave.open(io.BytesIO(data), "rb") as file:
                frames = file.readframes(file.getnframes())
                width, channels, rate_hz = (
                    file.getsampwidth(), file.getnchannels(), file.getframerate(),
                )  # fmt: skip
            return Audio(_pcm_to_float(frames, width, channels), rate_hz)
        except (wave.Error, EOFError, ValueError, ZeroDivisionError) as error:
            reason = str(error) or "it ends too early"
            raise PydanticCustomError(
                "audio", "not {what}: {error}", {"what": self.what, "error": reason}
            ) from error


def _pcm_to_float(frames: bytes, width: int, channels: int) -> Array:
    frames = frames[: len(frames) // (width * channels) * (width * channels)]
    if width == 1:  # the one unsigned width of WAV
        samples = (np.frombuffer(frames, np.uint8).astype(np.float32) - 128.0) / 128.0
    elif width == 3:
        bytes_3 = np.frombuffer(frames, np.uint8).reshape(-1, 3)
        widened = np.zeros((len(bytes_3), 4), np.uint8)
        widened[:, 1:] = bytes_3
        samples = widened.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    elif width in (2, 4):
        scale = np.float32(2 ** (8 * width - 1))
        samples = np.frombuffer(frames, f"<i{width}").astype(np.float32) / scale
    else:
        raise ValueError(f"samples of {width} bytes")
    mono: Array = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono
