"""Replies into answers, and error replies into typed errors."""

from typing import Any

import msgspec
import numpy as np
import pytest

from edgefn import errors
from edgefn.client.answer import answer_of, server_timing
from edgefn.client.errors import CallFailed
from edgefn.errors import EdgefnError

JSON = {"content-type": "application/json"}
MSGPACK = {"content-type": "application/msgpack"}


def error_body(code: str, **detail: Any) -> dict[str, Any]:
    error = {"code": code, "message": "what went wrong", "detail": detail}
    return {"error": error, "request_id": "r1"}


def test_headers_tell_how_the_call_went() -> None:
    """All that a box says of a call is in the answer."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "edgefn-variant": "onnx",
        "edgefn-tier": "edge",
        "edgefn-box": "b1",
        "edgefn-sla": "met",
        "server-timing": "queue;dur=0.25, compute;dur=1.5, cold;dur=30",
        "x-request-id": "r1",
    }
    answer = answer_of(200, headers, b'{"word":"yes"}', 2.0)
    assert answer.value == {"word": "yes"}
    assert (answer.variant, answer.tier, answer.box, answer.sla) == ("onnx", "edge", "b1", "met")
    assert (answer.queue_ms, answer.compute_ms, answer.cold_ms) == (0.25, 1.5, 30.0)
    assert (answer.elapsed_ms, answer.request_id) == (2.0, "r1")


def test_a_reply_without_our_headers_is_still_an_answer() -> None:
    """What is not said is empty or zero."""
    answer = answer_of(200, JSON, b"3", 1.0)
    assert (answer.value, answer.variant, answer.queue_ms) == (3, "", 0.0)


@pytest.mark.parametrize("dtype", ["<f4", "<i8", "|u1", "|b1", "<f2"])
def test_typed_tensors_come_back_as_arrays(dtype: str) -> None:
    """Wherever they are in the answer, with their dtype and shape."""
    array = np.arange(6).reshape(3, 2).astype(dtype)
    tensor = {"dtype": array.dtype.name, "shape": [3, 2], "data": array.tobytes()}
    body = msgspec.msgpack.encode({"mask": tensor, "all": [tensor, 1]})
    value = answer_of(200, MSGPACK, body, 1.0).value
    for found in (value["mask"], value["all"][0]):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_a_map_that_only_looks_like_a_tensor_is_left_alone() -> None:
    """A function may have fields of these names."""
    value = {"dtype": "float32", "shape": [1], "data": [1.0]}
    assert answer_of(200, MSGPACK, msgspec.msgpack.encode(value), 1.0).value == value


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("queue;dur=1", {"queue": 1.0}),
        ("a;dur=fast, b;dur=3.5;desc=x , c", {"b": 3.5}),
        (";;,,=;dur=,", {}),
    ],
)
def test_a_foreign_server_timing_does_no_harm(header: str, expected: dict[str, float]) -> None:
    """What is no duration is left out."""
    assert server_timing(header) == expected


@pytest.mark.parametrize(
    "kind",
    [
        errors.InvalidInput,
        errors.QueueFull,
        errors.DeadlineExceeded,
        errors.DeadlineUnattainable,
        errors.FunctionFailed,
        errors.ReplicaLost,
        errors.TimedOut,
        errors.NotDeployed,
        errors.DeploymentFailed,
        errors.Quarantined,
    ],
)
@pytest.mark.parametrize("encoding", [(JSON, msgspec.json), (MSGPACK, msgspec.msgpack)])
def test_an_error_has_the_class_of_its_code(kind: type[EdgefnError], encoding: Any) -> None:
    """Code, message and details survive, in both encodings."""
    headers, codec = encoding
    body = codec.encode(error_body(kind.code, path="$.x"))
    with pytest.raises(kind, match="what went wrong") as caught:
        answer_of(400, headers, body, 1.0)
    assert type(caught.value) is kind
    assert caught.value.detail == {"path": "$.x", "request_id": "r1"}


def test_an_unknown_code_keeps_its_code_and_status() -> None:
    """A newer box may have errors that this client does not know."""
    with pytest.raises(CallFailed) as caught:
        answer_of(418, JSON, msgspec.json.encode(error_body("teapot")), 1.0)
    assert (caught.value.detail["status"], caught.value.detail["code"]) == (418, "teapot")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>"),
        (404, {}, b""),
        (500, JSON, b"{"),
        (500, JSON, b"[" * 100_000),
        (500, MSGPACK, b"\xc1"),
        (301, {"content-type": "text/plain"}, b"elsewhere"),
    ],
)
def test_an_error_that_is_not_ours_says_so(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    """A proxy's page, or a wrong URL, gives one clear sentence and no crash."""
    with pytest.raises(CallFailed, match=f"status {status}.*Is the URL that of a box"):
        answer_of(status, headers, body, 1.0)


@pytest.mark.parametrize(
    ("headers", "body"),
    [(JSON, b"{"), (MSGPACK, b"\xc1"), ({"content-type": "text/html"}, b"hi"), ({}, b"1")],
)
def test_an_answer_that_cannot_be_read_is_an_error(headers: dict[str, str], body: bytes) -> None:
    """Nothing half-decoded is ever returned."""
    with pytest.raises(CallFailed):
        answer_of(200, headers, body, 1.0)
