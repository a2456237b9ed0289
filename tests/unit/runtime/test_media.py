"""Images and sounds as a caller sends them."""

import base64
import io
import sys
import wave
from typing import Any

import numpy as np
import pytest
from PIL import Image as pil
from pydantic import TypeAdapter, ValidationError

from edgefn_runtime import media
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.media import Audio, Image

AUDIO16K = TypeAdapter[Any](Audio[16000])
IMAGE = TypeAdapter[Any](Image)


def wav(data: bytes, width: int = 2, channels: int = 1, rate_hz: int = 16000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(data)
    return buffer.getvalue()


def refusal(adapter: TypeAdapter[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("width", "data"),
    [
        (1, bytes([128, 192, 64])),
        (2, np.array([0, 16384, -16384], "<i2").tobytes()),
        (3, bytes([0, 0, 0, 0, 0, 0x40, 0, 0, 0xC0])),
        (4, np.array([0, 2**30, -(2**30)], "<i4").tobytes()),
    ],
)
def test_each_width_of_pcm_has_the_same_scale(width: int, data: bytes) -> None:
    """8, 16, 24 and 32 bits all mean values from -1 to 1."""
    audio = AUDIO16K.validate_python(wav(data, width))
    np.testing.assert_allclose(audio.samples, [0.0, 0.5, -0.5], atol=1e-6)
    assert audio.samples.dtype == np.float32


def test_channels_are_averaged() -> None:
    """Stereo becomes mono."""
    data = np.array([[16384, 0], [0, -16384]], "<i2").tobytes()
    audio = AUDIO16K.validate_python(wav(data, channels=2))
    np.testing.assert_allclose(audio.samples, [0.25, -0.25])


def test_a_sound_survives_its_encoding() -> None:
    """A WAV that was written is read back within half a step of 16 bits."""
    samples = np.sin(np.linspace(0, 20, 800)).astype("float32")
    decoded = AUDIO16K.validate_python(Audio(samples, 16000).encode())
    np.testing.assert_allclose(decoded.samples, samples, atol=1 / 16384)
    assert decoded.duration_s == 0.05


def test_base64_and_raw_pcm_are_taken() -> None:
    """JSON brings base64; with a declared rate, bare PCM needs no header."""
    pcm = np.array([0, 16384], "<i2").tobytes()
    for value in (pcm, base64.b64encode(wav(pcm)).decode()):
        np.testing.assert_allclose(AUDIO16K.validate_python(value).samples, [0, 0.5])


def test_without_a_declared_rate_only_wav_will_do() -> None:
    """Bare PCM does not say its rate."""
    anything = TypeAdapter[Any](Audio)
    assert anything.validate_python(wav(b"\0\0", rate_hz=8000)).rate_hz == 8000
    assert "not a WAV file" in refusal(anything, b"\0\0\0\0")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (wav(b"\0\0", rate_hz=8000), "expected 16000 samples a second, got 8000; resample"),
        (b"RIFF....WAVE", "not a WAV file (PCM)"),
        (wav(b"\0\0")[:20], "not a WAV file (PCM)"),
        ("not base64!", "in base64"),
        (7, "expected the bytes of a WAV file (PCM), got int"),
    ],
)
def test_what_is_no_sound_is_refused(value: Any, message: str) -> None:
    """The message says what was expected."""
    assert message in refusal(AUDIO16K, value)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images_become_rgb_or_grey(kind: str) -> None:
    """Both formats decode to the declared mode, whatever the file has."""
    buffer = io.BytesIO()
    pil.new("RGB", (5, 4), (255, 0, 0)).save(buffer, kind)
    rgb = IMAGE.validate_python(buffer.getvalue())
    assert rgb.pixels.shape == (4, 5, 3)
    assert abs(int(rgb.pixels[0, 0, 0]) - 255) < 3
    grey = TypeAdapter[Any](Image["L"]).validate_python(buffer.getvalue())
    assert grey.pixels.shape == (4, 5)
    assert np.asarray(grey).dtype == np.uint8


def test_an_image_survives_its_encoding() -> None:
    """PNG loses nothing."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(IMAGE.validate_python(Image(pixels).encode()).pixels, pixels)


def test_an_image_is_refused_by_its_announced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks to a huge picture is not unpacked."""
    monkeypatch.setattr(media, "MAX_PIXELS", 10)
    message = refusal(IMAGE, Image(np.zeros((4, 5, 3), np.uint8)).encode())
    assert message == "the image has 5 x 4 pixels; at most 10 may be"


@pytest.mark.parametrize("data", [b"", b"GIF89a....", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    """Other formats and broken files are refused alike."""
    assert "not a JPEG or PNG image" in refusal(IMAGE, data)


def test_values_of_the_wrong_form_are_refused_at_once() -> None:
    """A mistake in a direct call is found where it is made."""
    with pytest.raises(ValueError, match="float32 samples of shape"):
        Audio(np.zeros(3), 16000)
    with pytest.raises(ValueError, match="uint8 pixels"):
        Image(np.zeros((3, 3, 4), np.uint8))
    with pytest.raises(TypeError, match="write the sampling rate"):
        Audio["16k"]  # type: ignore[misc]
    with pytest.raises(TypeError, match="greyscale"):
        Image["CMYK"]


def test_a_function_that_takes_images_says_that_pillow_is_missing(monkeypatch):
    """At its start, rather than at its first call."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    for annotation in (Image, Image["L"], list[Image]):
        with pytest.raises(LoadFailed, match=r"pip install 'edgefn\[image\]'"):
            TypeAdapter(annotation)
