"""Bodies to payloads and back, and through the signature of a declared function."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from edgefn import Audio, Tensor, edge_function
from edgefn.errors import FunctionFailed, InvalidInput
from edgefn_runtime import codecs, limits, v2
from edgefn_runtime.wire import Call, CallHead, Content


class Keyword(BaseModel):
    """An answer with one property of each kind."""

    word: str
    score: float
    sure: bool
    spectrum: Tensor["float32", "n"]
    others: list[str]


@edge_function
def keyword(window: Tensor["float32", 4, 2], floor: float = 0.5, tag: str = "") -> Keyword:
    return Keyword(word=tag or "yes", score=floor, sure=True, spectrum=window[:, 0], others=["a"])


@edge_function
def loud(audio: Audio[16000], threshold: float = 0.1) -> bool:
    return bool(np.abs(audio.samples).max() > threshold)


@edge_function
def anything(value: Any) -> Any:
    return value


WINDOW = np.arange(8, dtype="float32").reshape(4, 2)


def call(content: Content, body: bytes, aux: int = 0, accept: Content | None = None) -> Call:
    return Call(1, content, accept or content, aux, 0, b"", body)


def answer(function: Any, request: Call) -> tuple[int, int, bytes]:
    arguments = function.signature.bind(codecs.decode(request, function.signature))
    return codecs.encode(
        function.signature.dump(function(**arguments)), request, function.signature
    )


def refusal(function: Any, request: Call) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        function.signature.bind(codecs.decode(request, function.signature))
    return caught.value


def test_json_in_json_out() -> None:
    """Arrays are nested lists both ways."""
    body = msgspec.json.encode({"window": WINDOW.tolist(), "floor": 0.25})
    content, _, reply = answer(keyword, call(Content.JSON, body))
    assert content == Content.JSON
    assert msgspec.json.decode(reply) == {
        "word": "yes", "score": 0.25, "sure": True, "spectrum": [0, 2, 4, 6], "others": ["a"],
    }  # fmt: skip


def test_msgpack_in_msgpack_out() -> None:
    """Arrays are typed maps both ways."""
    body = msgspec.msgpack.encode({"window": codecs.tensor_map(WINDOW), "tag": "no"})
    _, _, reply = answer(keyword, call(Content.MSGPACK, body))
    decoded = msgspec.msgpack.decode(reply)
    assert decoded["word"] == "no"
    assert decoded["spectrum"] == {
        "dtype": "float32", "shape": [4], "data": WINDOW[:, 0].tobytes(),
    }  # fmt: skip


def test_the_answer_is_encoded_as_the_caller_accepts() -> None:
    """A msgpack call may ask for a JSON answer."""
    body = msgspec.msgpack.encode({"window": codecs.tensor_map(WINDOW)})
    content, _, reply = answer(keyword, call(Content.MSGPACK, body, accept=Content.JSON))
    assert content == Content.JSON
    assert msgspec.json.decode(reply)["word"] == "yes"


def test_a_sound_alone_is_a_whole_call() -> None:
    """The bytes of a WAV file need nothing around them."""
    body = Audio(np.full(100, 0.5, "float32"), 16000).encode()
    _, _, reply = answer(loud, call(Content.MEDIA, body, accept=Content.JSON))
    assert reply == b"true"
    assert loud.signature.described.media_types[0] == "audio/wav"
    assert "needs more than one image or sound" in str(refusal(keyword, call(Content.MEDIA, body)))


@pytest.mark.parametrize(
    ("media_type", "body", "message"),
    [
        ("audio/wav", b"\0\0\0\0", "Content-Type is audio/wav, but the body is no WAV file"),
        ("audio/pcm; rate=8000", b"\0\0", "send anything else as WAV"),
        ("audio/pcm", b"\0\0\0", "raw PCM has two bytes a sample, but 3 bytes came"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    media_type: str, body: bytes, message: str
) -> None:
    """Bytes are never taken for another kind of sound than their caller meant."""
    request = call(Content.MEDIA, body)
    request.head = msgspec.msgpack.encode(CallHead(media_type=media_type))
    assert message in refusal(loud, request).message


@pytest.mark.parametrize(
    ("body", "message", "path"),
    [
        (b"", "not JSON", "$"),
        (b"{", "not JSON", "$"),
        (b"[]", "the body is a list; an object was expected with window, floor, tag", "$"),
        (b"null", "the body is null", "$"),
        (b"{}", "window: missing", "window"),
        (b'{"window": NaN}', "not JSON", "$"),
        (b'{"window": 1e400}', "not JSON", "$"),
        (b'{"window": "\\ud800"}', "not JSON", "$"),
        (b'{"window": [[1]], "colour": 1}', "colour: unknown field", "window"),
        (b'{"window": [[1]]}', "window: expected float32 [4, 2], got float32 [1, 1]", "window"),
        (b"[" * 100_000, "more than 65536 lists and maps", "$"),
        (b'{"window":' + b"[" * 1000 + b"]" * 1000 + b"}", "nested deeper than 16", "$"),
        (b"\x80\x04\x95cposix\nsystem\n", "not JSON", "$"),
    ],
)
def test_bad_json_is_refused_with_its_place(body: bytes, message: str, path: str) -> None:
    """Each refusal says what, and where."""
    error = refusal(keyword, call(Content.JSON, body))
    assert message in error.message
    assert error.detail["path"].startswith(path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (b"\x81\xa1a", "not msgpack"),
        (b"\x80\x80", "not msgpack"),
        (b"\xdd\xff\xff\xff\xff", "not msgpack"),
        (b"\xdf\xff\xff\xff\xff", "not msgpack"),
        (b"\xc6\xff\xff\xff\xff", "not msgpack"),
        (b"\xa1\xff", "not msgpack"),
        (b"\x91" * 60_000 + b"\xc0", "nested deeper than 16"),
        (b"\x81\xa1v" + b"\x91" * 20 + b"\xc0", "nested deeper than 16"),
        (b"\xdd\x00\x0f\x42\x40" + b"\x80" * 1_000_000, "more than 65536 lists and maps"),
        (b"\x81\x01\x02", "Keys should be strings"),
        (b"\x81\xa1x\xc7\x00\x05", "unknown field"),
    ],
)
def test_bad_msgpack_is_refused(body: bytes, message: str) -> None:
    """Cut, lying, too deep and too many: all are the caller's mistake."""
    assert message in refusal(keyword, call(Content.MSGPACK, body)).message


def test_sixteen_levels_are_taken_and_seventeen_are_not() -> None:
    """The depth limit is what is documented."""
    value: Any = None
    for _ in range(limits.MAX_DEPTH - 1):
        value = [value]
    for encode in (msgspec.json.encode, msgspec.msgpack.encode):
        content = Content.JSON if encode is msgspec.json.encode else Content.MSGPACK
        codecs.decode(call(content, encode({"value": value, "pad": [[]] * 20})), anything.signature)
        body = encode({"value": [value], "pad": [[]] * 20})
        assert "deeper than 16" in refusal(anything, call(content, body)).message


def test_brackets_in_strings_and_tags_in_binaries_do_not_count() -> None:
    """The cheap bound is checked again before anything is refused by it."""
    text = "[{" * 40_000
    json = call(Content.JSON, msgspec.json.encode({"value": text}))
    assert codecs.decode(json, anything.signature) == {"value": text}
    data = b"\x90" * 100_000
    packed = call(Content.MSGPACK, msgspec.msgpack.encode({"value": data, "s": "x", "f": 1.5}))
    assert codecs.decode(packed, anything.signature)["value"] == data


@given(st.binary(max_size=200))
def test_noise_is_a_payload_or_a_refusal(noise: bytes) -> None:
    """No bytes raise anything but `InvalidInput`, in any encoding."""
    for content in (Content.JSON, Content.MSGPACK, Content.V2):
        try:
            payload = codecs.decode(call(content, noise), keyword.signature)
            keyword.signature.bind(payload)
        except InvalidInput:
            continue


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_plain_values_survive_both_encodings(value: Any) -> None:
    """What goes in comes out."""
    for encode, decode, content in (
        (msgspec.json.encode, msgspec.json.decode, Content.JSON),
        (msgspec.msgpack.encode, msgspec.msgpack.decode, Content.MSGPACK),
    ):
        _, _, reply = answer(anything, call(content, encode({"value": value})))
        assert decode(reply) == value


def test_an_answer_without_a_form_is_the_functions_fault() -> None:
    """What cannot be encoded is a failure of the function, not of the caller."""
    request = call(Content.JSON, b'{"value": 1}')
    with pytest.raises(FunctionFailed, match="cannot be encoded"):
        codecs.encode(object(), request, anything.signature)


def v2_request(**changes: Any) -> dict[str, Any]:
    window = {"name": "window", "shape": [4, 2], "datatype": "FP32", "data": list(range(8))}
    return {"id": "7", "inputs": [{**window, **changes}]}


def test_v2_in_json() -> None:
    """Every kind of property becomes an output tensor."""
    request = call(Content.V2, msgspec.json.encode(v2_request()))
    content, aux, reply = answer(keyword, request)
    decoded = msgspec.json.decode(reply)
    assert (content, aux, decoded["id"], decoded["model_name"]) == (Content.V2, 0, "7", "keyword")
    assert [
        (output["name"], output["datatype"], output["shape"], output["data"])
        for output in decoded["outputs"]
    ] == [
        ("word", "BYTES", [1], ["yes"]),
        ("score", "FP64", [1], [0.5]),
        ("sure", "BOOL", [1], [True]),
        ("spectrum", "FP32", [4], [0, 2, 4, 6]),
        ("others", "BYTES", [1], ['["a"]']),
    ]


def test_v2_in_binary() -> None:
    """Binary tensors follow the JSON part, in order, both ways."""
    tag = (2).to_bytes(4, "little") + b"no"
    head = msgspec.json.encode(
        {
            "inputs": [
                {"name": "window", "shape": [4, 2], "datatype": "FP32",
                 "parameters": {"binary_data_size": 32}},
                {"name": "floor", "shape": [1], "datatype": "FP64", "data": [0.75]},
                {"name": "tag", "shape": [1], "datatype": "BYTES",
                 "parameters": {"binary_data_size": len(tag)}},
            ],
            "outputs": [
                {"name": "spectrum", "parameters": {"binary_data": True}},
                {"name": "word", "parameters": {"binary_data": True}},
                {"name": "score"},
            ],
        }
    )  # fmt: skip
    request = call(Content.V2, head + WINDOW.tobytes() + tag, aux=len(head))
    _, aux, reply = answer(keyword, request)
    outputs = {output["name"]: output for output in msgspec.json.decode(reply[:aux])["outputs"]}
    assert outputs["score"]["data"] == [0.75]
    assert outputs["word"]["parameters"] == {"binary_data_size": 6}
    assert reply[aux:] == tag + WINDOW[:, 0].tobytes()


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ({}, "not a V2 inference request"),
        ({**v2_request(), "id": 5}, "not a V2 inference request: Expected `str`, got `int`"),
        ({**v2_request(), "parameters": []}, "not a V2 inference request"),
        ({**v2_request(), "outputs": [{"name": "colour"}]}, "unknown output 'colour'"),
        (v2_request(parameters={"a": [[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]}), "deeper than 16"),
        (v2_request(data=[[]] * 70_000), "more than 65536 lists"),
        (v2_request(shape=[1] * 100_000), "not a V2 inference request"),
        (v2_request(shape=[2**63 - 1] * 8), "not a V2 inference request"),
        (v2_request(name="widow"), "unknown input 'widow'; the inputs are window"),
        (v2_request(datatype="FP31"), "unknown datatype 'FP31'"),
        (v2_request(datatype="FP64"), "expected float32 [4, 2], got float64 [4, 2]"),
        (v2_request(shape=[8]), "expected float32 [4, 2], got float32 [8]"),
        (v2_request(shape=[3]), "window: [3] takes 3 numbers, but 8 came"),
        (v2_request(data=["a"] * 8), "expected numbers of float32"),
        (v2_request(shape=[-1, 2]), "not a V2 inference request"),
        (v2_request(parameters={"binary_data_size": 99}), "99, but 0 bytes follow"),
        (v2_request(parameters={"binary_data_size": "x"}), "'x', but 0 bytes follow"),
    ],
)
def test_bad_v2_names_the_tensor(request_body: dict[str, Any], message: str) -> None:
    """What was expected and what came, by the tensor's name."""
    body = msgspec.json.encode(request_body)
    assert message in refusal(keyword, call(Content.V2, body)).message


def test_v2_bytes_left_over_are_refused() -> None:
    """A binary part that no tensor claims is a mistake."""
    head = msgspec.json.encode(v2_request())
    error = refusal(keyword, call(Content.V2, head + b"xx", aux=len(head)))
    assert "2 bytes are left" in error.message


def test_v2_takes_media_and_objects() -> None:
    """A sound is one BYTES element; a missing optional input keeps its default."""
    sound = Audio(np.full(10, 0.5, "float32"), 16000).encode()
    element = len(sound).to_bytes(4, "little") + sound
    head = msgspec.json.encode(
        {"inputs": [{"name": "audio", "shape": [1], "datatype": "BYTES",
                     "parameters": {"binary_data_size": len(element)}}]}
    )  # fmt: skip
    _, _, reply = answer(loud, call(Content.V2, head + element, aux=len(head)))
    assert msgspec.json.decode(reply)["outputs"][0] == {
        "name": "result", "datatype": "BOOL", "shape": [1], "data": [True],
    }  # fmt: skip
    spelled = {
        "inputs": [{"name": "value", "shape": [1], "datatype": "BYTES", "data": ['{"a":1}']}]
    }
    assert v2.decode(msgspec.json.encode(spelled), 0, anything.signature) == {"value": {"a": 1}}
