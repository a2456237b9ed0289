"""Error codes as HTTP statuses, and errors as bytes."""

import inspect
import json

import msgspec
import pytest

import edgefn.bundle.store
import edgefn.errors
import edgefn.gateway.errors
import edgefn_runtime.errors
import edgefn_runtime.manifest
from edgefn.errors import EdgefnError, ErrorBody
from edgefn.gateway.http_bytes import answer_head, error_head, raw_error
from edgefn.gateway.statuses import STATUSES, Shape, encode_error, retry_after_s, status_of

# What no caller is told: mistakes of developers and operators, and faults between processes.
_NEVER_ANSWERED = {"internal", "invalid_declaration", "invalid_config", "protocol_error"}


def _errors() -> list[type[EdgefnError]]:
    modules = (
        edgefn.errors,
        edgefn.gateway.errors,
        edgefn.bundle.store,
        edgefn_runtime.errors,
        edgefn_runtime.manifest,
    )
    found = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, EdgefnError)
    }
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", _errors())
def test_every_error_has_a_status(kind):
    """A code that callers can meet is in the table; all others are an internal error."""
    assert (kind.code in STATUSES) != (kind.code in _NEVER_ANSWERED)


def test_an_internal_error_tells_nothing():
    """An unknown code is 500, and neither its message nor its detail leaves the gateway."""
    assert status_of("protocol_error") == 500
    body = encode_error(ErrorBody("protocol_error", "secret", {"path": "secret"}), "7", Shape.JSON)
    assert b"secret" not in body
    assert json.loads(body)["error"]["code"] == "internal"
    assert json.loads(body)["request_id"] == "7"


def test_the_three_shapes():
    """JSON and msgpack carry the same; the Open Inference Protocol carries a text."""
    error = ErrorBody("not_found", "no", {"a": 1})
    wanted = {
        "error": {"code": "not_found", "message": "no", "detail": {"a": 1}},
        "request_id": "7",
    }
    assert json.loads(encode_error(error, "7", Shape.JSON)) == wanted
    assert msgspec.msgpack.decode(encode_error(error, "7", Shape.MSGPACK)) == wanted
    assert json.loads(encode_error(error, "7", Shape.V2)) == {"error": "no"}


@pytest.mark.parametrize(
    ("code", "told", "wanted"),
    [
        ("queue_full", {}, 1),
        ("queue_full", {"retry_after_s": 2.1}, 3),
        ("queue_full", {"retry_after_s": 0}, 1),
        ("queue_full", {"retry_after_s": float("inf")}, 1),
        ("queue_full", {"retry_after_s": "soon"}, 1),
        ("unavailable", {}, 1),
        ("quarantined", {}, None),
        ("invalid_input", {"retry_after_s": 5}, None),
    ],
)
def test_refusals_say_when_to_come_back(code, told, wanted):
    """Retry-After is a positive number of seconds, and only on 429 and 503."""
    error = ErrorBody(code, "", told)
    assert retry_after_s(error) == wanted
    assert (b"Retry-After: " in error_head(error, "7", Shape.JSON)) == (wanted is not None)


def test_an_answer_without_a_request_is_complete():
    """What is written to a connection that is refused is a whole HTTP answer."""
    answer = raw_error(ErrorBody("too_many_connections", "full"), "7")
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"Connection: close" in lines and b"Retry-After: 1" in lines
    assert b"Content-Length: %d" % len(body) in lines
    assert json.loads(body)["error"]["code"] == "too_many_connections"


def test_a_status_without_a_name_is_written_all_the_same():
    """The box may answer with any status."""
    assert answer_head(599, b"", 0, b"").startswith(b"HTTP/1.1 599 Unknown\r\n")
