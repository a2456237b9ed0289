"""What strangers see: descriptions, OpenAPI, the Open Inference Protocol, the admin API."""

import hashlib
import json
import socket

import jsonschema
import numpy as np
import pytest
import schemathesis
import tritonclient.http as triton

from edgefn.gateway.control import Answered, Report


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/functions", "functions"),
        ("/v1/functions/echo", "schema"),
        ("/openapi.json", "openapi"),
        ("/healthz", "status"),
        ("/readyz", "ready"),
        ("/v2", "extensions"),
        ("/v2/health/live", "live"),
        ("/v2/models/echo", "inputs"),
        ("/v2/models/echo/versions/1", "inputs"),
        ("/v2/models/echo/versions/1/ready", "ready"),
        ("/metrics", "asked"),
        ("/admin/v1/status", "asked"),
    ],
)
def test_what_can_be_read_is_json(site, path, key):
    """Each of the readable paths answers with its JSON object."""
    status, headers, body = site.request("GET", path)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert key in json.loads(body)


def test_a_described_function_can_be_called_as_it_says(site):
    """The example in a description is a valid call."""
    described = json.loads(site.request("GET", "/v1/functions/echo")[2])
    example = described["example"]
    assert example["curl"].startswith("curl http://127.0.0.1:")
    status, _, _ = site.request(
        example["method"], example["path"], b"{}", {"Content-Type": example["content_type"]}
    )
    assert status == 200


def test_the_openapi_document_is_one(site):
    """A stranger's tool reads it and finds every operation of a function."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{site.port}/openapi.json")
    schema.validate()
    found = {f"{one.ok().method.upper()} {one.ok().path}" for one in schema.get_all_operations()}
    assert {"POST /v1/functions/echo", "GET /v1/functions/echo", "GET /healthz"} <= found
    document = json.loads(site.request("GET", "/openapi.json")[2])
    for name, part in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(part)
        assert "$defs" not in part, name


def test_a_v2_client_reads_what_there_is(site):
    """tritonclient finds the server, the model and its tensors."""
    client = triton.InferenceServerClient(f"127.0.0.1:{site.port}")
    try:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("echo") and client.is_model_ready("echo", "1")
        assert not client.is_model_ready("nope")
        assert client.get_server_metadata()["name"] == "edgefn"
        metadata = client.get_model_metadata("echo")
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [2]}]
    finally:
        client.close()


@pytest.mark.parametrize("binary", [True, False])
def test_a_v2_client_is_answered(site, binary):
    """Requests with binary and with JSON tensors reach the replica as they are, and come back."""
    client = triton.InferenceServerClient(f"127.0.0.1:{site.port}")
    try:
        tensor = triton.InferInput("x", [2], "FP32")
        tensor.set_data_from_numpy(np.array([1, 2], np.float32), binary_data=binary)
        answer = client.infer("echo", [tensor])  # the fake replica's outputs are its inputs
        assert answer.as_numpy("x").tolist() == [1, 2]
    finally:
        client.close()
    call = site.replicas["r1"].calls[-1]
    head = json.loads(call.body[: call.aux] if call.aux else call.body)
    assert head["inputs"][0]["name"] == "x"
    assert (call.content, call.accept) == (3, 3)
    assert bool(call.aux) == binary
    if binary:
        assert call.body[call.aux :] == np.array([1, 2], np.float32).tobytes()


def test_v2_errors_have_that_protocols_shape(site):
    """Errors under /v2 are one text, with the same statuses."""
    for method, path, body, status in (
        ("GET", "/v2/models/nope", None, 404),
        ("GET", "/v2/models/echo/versions/7", None, 404),
        ("PUT", "/v2/models/echo", b"", 405),
        ("POST", "/v2/models/echo/infer", b'{"do": "fail", "code": "invalid_input"}', 400),
    ):
        got, _, answered = site.request(method, path, body)
        assert got == status, path
        assert list(json.loads(answered)) == ["error"]
        assert isinstance(json.loads(answered)["error"], str)


@pytest.mark.parametrize("length", ["0", "-1", "3", "x", "99999999999999999999"])
def test_a_v2_header_length_must_fit_the_body(site, length):
    """Inference-Header-Content-Length lies within the body."""
    status, _, _ = site.request(
        "POST", "/v2/models/echo/infer", b"{}", {"Inference-Header-Content-Length": length}
    )
    assert status == 400


def test_the_box_answers_operators(site):
    """Admin requests reach the box as they are, after a report; its errors get a request id."""
    site.messages.clear()
    site.call({"x": 1})
    site.request("POST", "/admin/v1/deployments/echo/rollback?a=1&b=%20", b'{"revision":1}')
    ask = site.asks[-1]
    assert (ask.method, ask.path) == ("POST", "/admin/v1/deployments/echo/rollback")
    assert (ask.query, ask.body) == ({"a": "1", "b": " "}, b'{"revision":1}')
    assert site.messages.index(ask) > site.messages.index(site.heard(Report)[0])
    answer, site.answer_ask = (
        site.answer_ask,
        lambda ask: Answered(
            ask.id, 409, b'{"error": {"code": "conflict", "message": "m", "detail": {}}}'
        ),
    )
    try:
        status, _, body = site.request("GET", "/admin/v1/status", headers={"X-Request-Id": "me"})
    finally:
        site.answer_ask = answer
    assert status == 409
    assert json.loads(body) == {
        "error": {"code": "conflict", "message": "m", "detail": {}},
        "request_id": "me",
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:8080"},
        {"X-Forwarded-For": "10.1.2.3"},
        {"Host": "rebound.example:8080"},
        {"Host": ""},
    ],
)
def test_the_admin_api_is_not_for_browsers_and_proxies(site, headers):
    """Web pages, names that resolve to this machine, and proxies are refused."""
    for method, path in (("GET", "/admin/v1/status"), ("PUT", f"/admin/v1/blobs/{'0' * 64}")):
        status, _, body = site.request(method, path, b"", headers)
        assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden")
    assert site.request("GET", "/admin/v1/status", headers={"Host": "[::1]:8080"})[0] == 200


def test_blobs_are_stored_under_their_digest(site):
    """A blob larger than any call is taken, and appears only if its bytes are right."""
    blob = b"x" * 20_000_000
    digest = hashlib.sha256(blob).hexdigest()
    status, _, body = site.request("PUT", f"/admin/v1/blobs/{digest}", blob)
    assert (status, json.loads(body)) == (201, {"sha256": digest, "size": len(blob)})
    stored = site.folder / "blobs" / digest[:2] / digest[2:4] / digest
    assert stored.read_bytes() == blob
    wrong = hashlib.sha256(b"something else").hexdigest()
    status, _, body = site.request("PUT", f"/admin/v1/blobs/{wrong}", b"not this")
    assert (status, json.loads(body)["error"]["code"]) == (422, "digest_mismatch")
    status, _, body = site.request("PUT", "/admin/v1/blobs/nonsense", b"x")
    assert (status, json.loads(body)["error"]["code"]) == (422, "invalid_manifest")


def test_an_upload_that_stops_leaves_nothing(site):
    """What a caller did not finish is thrown away, whether it stalls or leaves."""
    digest = hashlib.sha256(b"never").hexdigest()
    head = b"PUT /admin/v1/blobs/%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
    data = head % digest.encode() + b"x" * 300_000
    assert site.raw(data).startswith(b"HTTP/1.1 408 ")
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        sock.sendall(data)
    incoming = site.folder / "blobs" / "incoming"
    site.wait_until(lambda: not list(incoming.iterdir()))
