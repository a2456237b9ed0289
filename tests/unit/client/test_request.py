"""Inputs into request bodies: JSON where it says it all, msgpack where not."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from edgefn.client.request import JSON, MSGPACK, media_type, request_of
from edgefn.errors import InvalidInput

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class Reading(BaseModel):
    sensor: str
    values: list[float]


def body_of(inputs: dict[str, Any], **options: Any) -> Any:
    request = request_of("f", inputs, **options)
    decode = msgspec.json.decode if request.content_type == JSON else msgspec.msgpack.decode
    return decode(request.body)


@given(st.dictionaries(st.text(min_size=1), JSON_VALUES, max_size=4))
def test_plain_values_travel_as_json_and_come_back_equal(inputs: dict[str, Any]) -> None:
    """What JSON can say is said in JSON, and read back as it was."""
    request = request_of("f", inputs)
    assert (request.content_type, request.accept, request.path) == (JSON, JSON, "/v1/functions/f")
    assert msgspec.json.decode(request.body) == inputs


@given(st.dictionaries(st.text(min_size=1), JSON_VALUES, max_size=4))
def test_msgpack_says_the_same_when_forced(inputs: dict[str, Any]) -> None:
    """The encoding changes nothing but the bytes."""
    assert body_of(inputs, encoding="msgpack") == inputs


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "int64", "bool", "<f4"])
def test_an_array_travels_as_a_typed_tensor(dtype: str) -> None:
    """Arrays anywhere in the inputs make it msgpack, little-endian and row-major."""
    array = np.arange(6).reshape(2, 3).astype(dtype)
    request = request_of("f", {"deep": [{"x": array}]})
    assert (request.content_type, request.accept) == (MSGPACK, MSGPACK)
    sent = msgspec.msgpack.decode(request.body)["deep"][0]["x"]
    assert sent == {"dtype": array.dtype.name, "shape": [2, 3], "data": array.tobytes()}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)),
        np.arange(12, dtype="<f4").reshape(2, 6)[:, ::2],
    ],
)
def test_an_array_may_lie_in_memory_as_it_likes(array: np.ndarray) -> None:
    """Big-endian, column-major and strided arrays are sent like any other."""
    sent = body_of({"x": array})["x"]
    assert sent["data"] == np.ascontiguousarray(array).astype("<f4").tobytes()
    assert sent["dtype"] == "float32"


def test_bytes_and_files_travel_as_msgpack(tmp_path: Path) -> None:
    """Bytes stay bytes, and a path is the content of its file."""
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    inputs = {"a": b"raw", "b": bytearray(b"also"), "c": tmp_path / "clip.wav"}
    assert request_of("f", inputs).content_type == MSGPACK
    assert body_of(inputs) == {"a": b"raw", "b": b"also", "c": b"RIFF"}


def test_bytes_in_forced_json_are_base64() -> None:
    """Who wants JSON gets the spelling that a box reads."""
    assert body_of({"a": b"raw"}, encoding="json") == {"a": "cmF3"}


def test_numpy_numbers_and_pydantic_models_are_plain_values() -> None:
    """They need no msgpack."""
    reading = Reading(sensor="s", values=[1.0])
    inputs = {"n": np.float32(0.5), "i": np.int64(3), "b": np.bool_(True), "m": reading}
    assert request_of("f", inputs).content_type == JSON
    expected = {"n": 0.5, "i": 3, "b": True, "m": {"sensor": "s", "values": [1.0]}}
    assert body_of(inputs) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, [1.0, -math.inf], {"k": np.float32("nan")}])
def test_numbers_that_json_lacks_are_never_lost(value: Any) -> None:
    """Without JSON's null in their place: msgpack carries them, and forced JSON refuses."""
    assert request_of("f", {"x": value}).content_type == MSGPACK
    with pytest.raises(InvalidInput, match="no NaN"):
        request_of("f", {"x": value}, encoding="json")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (object(), "x: object has no place"),
        ({1, 2}, "x: set has no place"),
        (np.array(["a"]), "x: an array of <U1 has no place"),
        (np.array([object()]), "x: an array of object has no place"),
        ([b"", 2**70], "cannot be encoded"),
        (Path("/nowhere/x.wav"), "x: cannot read '/nowhere/x.wav': No such file"),
        ("\ud800", "cannot be encoded"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(value: Any, expected: str) -> None:
    """The error names the input and what is wrong, and nothing is sent."""
    with pytest.raises(InvalidInput, match=expected):
        request_of("f", {"x": value})


def test_inputs_that_hold_themselves_are_refused() -> None:
    """A circle is an error, not a crash."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidInput, match="hold themselves"):
        request_of("f", {"x": circle})


@pytest.mark.parametrize("name", ["", "Voice", "a/b", "../admin", "f?x", "1f"])
def test_only_a_name_is_put_into_the_path(name: str) -> None:
    """Nothing that a caller passes as a name can reach another path."""
    with pytest.raises(InvalidInput, match="cannot be the name"):
        request_of(name, {})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
    ],
)
def test_a_file_is_the_whole_body_under_its_own_type(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    """The first bytes tell the type, whatever the file is called; bytes need no file."""
    path = tmp_path / "misnamed.txt"
    path.write_bytes(data)
    for file in (path, data):
        request = request_of("f", {}, file=file)
        assert (request.content_type, request.body) == (expected, data)


def test_a_type_without_a_signature_is_told_by_its_suffix(tmp_path: Path) -> None:
    """Raw PCM has no header; anything else that is unknown is refused."""
    assert media_type(Path("a.PCM"), b"\0\1") == "audio/pcm"
    with pytest.raises(InvalidInput, match="'a.txt' is neither"):
        media_type(Path("a.txt"), b"hello")
    with pytest.raises(InvalidInput, match="5 bytes is neither"):
        media_type(b"hello", b"hello")


def test_a_file_leaves_no_room_for_other_inputs() -> None:
    """The body cannot be two things."""
    with pytest.raises(InvalidInput, match="but there is also 'rate'"):
        request_of("f", {"rate": 1}, file=b"RIFF\0\0\0\0WAVE")
