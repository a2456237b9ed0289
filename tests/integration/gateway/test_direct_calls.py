"""Calls that come in one piece on a connection at rest: answered as all others are."""

import email
import json
import socket
import struct
import time

import pytest

from edgefn.gateway.control import Report, Suspect


class Caller:
    """A connection on which one request was answered, so that aiohttp's task rests."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")
        assert self.ask("GET", "/healthz")[0] == 200

    def send(self, method, path, body=b"", **headers):
        told = {"Host": "a", "Content-Length": str(len(body)), "Content-Type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    def send_parts(self, *parts, until, **headers):
        """Sends a call in parts: the head, and each of these when `until` returns."""
        size_bytes = sum(map(len, parts))
        self.send("POST", "/v1/functions/echo", Content_Length=str(size_bytes), **headers)
        for part in parts:
            until()
            self.socket.sendall(part)

    def read(self):
        status = int(self.file.readline().split()[1])
        lines = b"".join(iter(self.file.readline, b"\r\n"))
        headers = dict(email.message_from_bytes(lines))
        return status, headers, self.file.read(int(headers["Content-Length"]))

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, method, path, body=b"", **headers):
        self.send(method, path, body, **headers)
        return self.read()

    def call(self, order, function="echo", **headers):
        body = json.dumps(order).encode()
        status, told, answer = self.ask("POST", f"/v1/functions/{function}", body, **headers)
        return status, told, json.loads(answer)


@pytest.fixture
def caller(site):
    caller = Caller(site.port)
    yield caller
    caller.close()


def test_results_and_errors_follow_each_other_on_a_connection(site, caller):
    """Each has its status and headers, and none ends the connection or its neighbours."""
    for number in range(3):
        status, headers, body = caller.call({"x": number}, Edgefn_Deadline_Ms="5000")
        assert (status, body, headers["Edgefn-Sla"]) == (200, {"x": number}, "met")
        status, headers, body = caller.call(
            {"do": "fail", "code": "function_failed"}, X_Request_Id="abc"
        )
        assert (status, body["error"]["code"]) == (502, "function_failed")
        assert headers["X-Request-Id"] == body["request_id"] == "abc"
        assert headers["Edgefn-Variant"] == "onnx"
        status, _, body = caller.call({"x": 1}, function="absent")
        assert (status, body["error"]["code"]) == (404, "unknown_function")
        status, _, body = caller.call({"x": 1}, Edgefn_Deadline_Ms="soon")
        assert (status, body["error"]["code"]) == (400, "invalid_input")
        assert caller.ask("GET", "/v1/functions")[0] == 200
    v2 = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
    status, _, body = caller.ask("POST", "/v2/models/echo/infer", json.dumps(v2).encode())
    assert (status, json.loads(body)["outputs"]) == (200, v2["inputs"])
    status, _, body = caller.ask("POST", "/v2/models/echo/versions/99/infer", b"{}")
    assert (status, isinstance(json.loads(body)["error"], str)) == (404, True)


def test_a_call_that_is_late_is_given_up_and_one_that_is_lost_fails(site, caller):
    """The deadline costs 504, a lost replica 502, and the connection goes on."""
    status, headers, body = caller.call({"do": "silence"}, Edgefn_Deadline_Ms="100")
    assert (status, body["error"]["code"]) == (504, "deadline_exceeded")
    assert headers["Edgefn-Sla"] == "missed"
    status, _, body = caller.call({"do": "die"})
    assert (status, body["error"]["code"]) == (502, "replica_lost")
    site.wait_for(Suspect)
    status, _, body = caller.call({"x": 2}, Edgefn_Deadline_Ms="5000")
    assert (status, body) == (200, {"x": 2})


def test_calls_behind_one_that_runs_are_answered_behind_it(site, caller):
    """However many were sent at once, and whatever is between them."""
    late = json.dumps({"do": "late", "s": 0.1}).encode()
    caller.send("POST", "/v1/functions/echo", late)
    for number in range(40):
        caller.send("POST", "/v1/functions/echo", b"%d" % number)
        caller.send("GET", "/healthz")
    assert caller.read()[2] == b'"late"'
    for number in range(40):
        assert caller.read()[2] == b"%d" % number
        assert caller.read()[0] == 200


@pytest.mark.parametrize("reset", [False, True])
def test_a_call_whose_caller_leaves_is_cancelled(empty_site, function_route, reset):
    """Whether the connection is closed or reset; it is counted, and nothing of it is left."""
    site = empty_site
    site.route(function_route(site.start_replica("r1")))
    caller = Caller(site.port)
    caller.send("POST", "/v1/functions/echo", b'{"do": "silence"}')
    site.wait_until(lambda: bool(site.replicas["r1"].calls))
    if reset:
        linger = struct.pack("ii", 1, 0)
        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    caller.close()
    site.wait_until(lambda: bool(site.replicas["r1"].cancelled))
    site.wait_for(Report, lambda r: any(499 in one.outcomes for one in r.functions))
    site.wait_for(Report, lambda r: any(not one.ongoing for one in r.functions))


def test_the_last_answer_says_that_it_is(site, caller):
    """A caller who asks for it is told `Connection: close`, and the connection ends."""
    body = json.dumps({"do": "late", "s": 0.05}).encode()
    status, headers, _ = caller.ask("POST", "/v1/functions/echo", body, Connection="close")
    assert (status, headers["Connection"]) == (200, "close")
    assert caller.file.read(1) == b""


@pytest.mark.parametrize("pause_s", [0.0, 0.005, 0.1])
def test_a_body_may_come_behind_its_head(site, caller, pause_s):
    """In one part or more, soon or late; the deadline counts from the head."""
    for number in range(5):
        body = b'{"x": %d}' % number
        caller.send_parts(body[:3], body[3:], until=lambda: time.sleep(pause_s))
        status, _, answer = caller.read()
        assert (status, json.loads(answer)) == (200, {"x": number})
    hurried = {"Edgefn-Deadline-Ms": "100"}
    caller.send_parts(b"1", until=lambda: time.sleep(pause_s), **hurried)
    assert caller.read()[0] == (504 if pause_s == 0.1 else 200)


def test_what_comes_behind_half_a_body_is_answered_behind_it(site, caller):
    """And a body that never comes ends nothing but its own connection."""
    caller.send_parts(b"1", b"2", until=lambda: time.sleep(0.003))
    caller.send("GET", "/healthz")
    assert (caller.read()[2], caller.read()[0]) == (b"12", 200)
    caller.send("POST", "/v1/functions/echo", Content_Length="5")
    caller.close()
    other = Caller(site.port)
    assert other.call({"x": 2})[:1] == (200,)
    other.close()


def test_a_caller_who_asks_whether_to_go_on_is_told(site, caller):
    """At once: it sends no body before."""
    caller.send("POST", "/v1/functions/echo", Content_Length="2", Expect="100-continue")
    assert caller.file.readline().split()[1] == b"100"
    assert caller.file.readline() == b"\r\n"
    caller.socket.sendall(b"42")
    assert caller.read()[2] == b"42"
