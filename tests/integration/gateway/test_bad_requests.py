"""Bytes that no honest client sends, written to a real gateway process."""

import contextlib
import json
import socket
import threading
import time

import pytest

from edgefn.gateway.control import Report

POST = b"POST /v1/functions/echo HTTP/1.1\r\nHost: a\r\n"
JSON = POST + b"Content-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


def refused(answer: bytes, status: int) -> dict:
    """Checks that an answer is one error in the one shape, and returns the error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    assert b"content-type: application/json" in head.lower()
    decoded = json.loads(body)
    assert set(decoded) == {"error", "request_id"}
    assert set(decoded["error"]) == {"code", "message", "detail"}
    assert b"X-Request-Id: " + decoded["request_id"].encode() in head
    return decoded["error"]


MALFORMED = {
    "H1 length and chunks": POST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "H2 two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "H2 two equal lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "H3 length with a plus": POST + b"Content-Length: +5\r\n\r\nabcde",
    "H3 negative length": POST + b"Content-Length: -1\r\n\r\n",
    "H3 length in hex": POST + b"Content-Length: 0x5\r\n\r\nabcde",
    "H3 length with an underscore": POST + b"Content-Length: 5_0\r\n\r\nabcde",
    "H3 astronomic length": POST + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n",
    "H4 chunks in HTTP/1.0": b"POST /v1/functions/echo HTTP/1.0\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "H5 chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "H5 unknown transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "H5 identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "H7 line feed only": b"GET /healthz HTTP/1.1\nHost: a\n\n",
    "H7 folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "H7 space before the colon": GET + b"X-A : b\r\n\r\n",
    "H7 NUL in a header": GET + b"X-A: b\x00c\r\n\r\n",
    "H7 two hosts": GET + b"Host: b\r\n\r\n",
    "H8 a thousand headers": GET + b"".join(b"X-%d: y\r\n" % i for i in range(1000)) + b"\r\n",
    "H8 a header of 64 KB": GET + b"X-A: " + b"y" * 65536 + b"\r\n\r\n",
    "H8 a target of 100 KB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "H13 HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "H13 TLS hello": bytes.fromhex("160301020001000163030300") + b"\x00" * 64,
    "H13 noise": bytes(range(256)) * 256,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused(site, name):
    """What is not HTTP gets 400 in the one shape, and the connection ends."""
    began = time.monotonic()
    error = refused(site.raw(MALFORMED[name]), 400)
    assert error["code"] == "malformed_request"
    assert "\n" not in error["message"] and "Traceback" not in error["message"]
    assert time.monotonic() - began < 10


BODIES = {
    "H10 chunks": (JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000, 411),
    "H6 negative chunk": (JSON + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "H12 two gigabytes": (JSON + b"Content-Length: 2147483648\r\n\r\n", 413),
    "no length": (JSON + b"\r\n", 411),
    "H16 text": (POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
    "H16 a form": (
        POST + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}",
        415,
    ),
    "H16 no type": (POST + b"Content-Length: 2\r\n\r\n{}", 415),
    "C1 gzip": (JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
    "C1 unknown coding": (JSON + b"Content-Encoding: zip\r\nContent-Length: 2\r\n\r\n{}", 415),
    "C1 two codings": (
        JSON + b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
        415,
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_refused_by_their_head(site, name):
    """Whatever the head says is enough for a refusal is refused before the body is read."""
    data, status = BODIES[name]
    data = data.replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n")
    began = time.monotonic()
    answer = site.raw(data)
    if name.startswith("H6"):  # which of its two faults is named does not matter
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 411"))
    else:
        refused(answer, status)
    assert time.monotonic() - began < 10


PATHS = {
    "unknown function": (b"POST /v1/functions/nope", 404),
    "H14 NUL": (b"POST /v1/functions/%00", 404),
    "H14 bad UTF-8": (b"POST /v1/functions/%ff%fe", 404),
    "H14 climbing": (b"GET /v1/functions/../../etc/passwd", 404),
    "H14 empty segment": (b"GET //healthz", 404),
    "trailing slash": (b"GET /v1/functions/", 404),
    "root": (b"GET /", 404),
    "wrong method": (b"PUT /v1/functions/echo", 405),
    "another wrong method": (b"POST /healthz", 405),
    "options": (b"OPTIONS /v1/functions/echo", 405),
    "connect": (b"CONNECT example.org:443", 404),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_and_methods_that_are_not_there(site, name):
    """Unknown paths get 404, wrong methods 405 with what is allowed."""
    line, status = PATHS[name]
    answer = site.raw(
        line + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    refused(answer, status)
    assert (b"\r\nAllow: " in answer) == (status == 405)


def test_absolute_targets_and_encoded_names_are_understood(site):
    """The absolute form of a target and percent-encoding name the same function."""
    for target in (b"http://a/v1/functions/echo", b"/v1/functions/%65cho", b"/v1/functions/echo?a"):
        answer = site.raw(
            b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert answer.startswith(b"HTTP/1.1 200 "), target


def test_head_and_http_1_0_are_answered(site):
    """HEAD gets the head of GET; HTTP/1.0 keeps its connection only if it asks."""
    head = site.raw(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n")
    assert b"Content-Length: 15\r\n" in head
    old = site.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in old
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        for _ in range(2):
            sock.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in sock.recv(65536)


def test_an_upgrade_is_not_taken_up(site):
    """A caller that would rather speak something else is answered in HTTP."""
    answer = site.raw(
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_caller_who_expects_it_is_told_to_continue(site):
    """`Expect: 100-continue` gets 100 before the body, and no 100 if the head is refused."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        sock.sendall(JSON + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    answer = site.raw(JSON + b"Expect: 100-continue\r\nContent-Length: 2147483648\r\n\r\n")
    refused(answer, 413)


def test_pipelined_requests_are_all_answered_in_order(site):
    """H9: thousands of requests in one write are answered one after the other."""
    count = 3000
    requests = b"".join(
        JSON + b"Content-Length: %d\r\n\r\n%d" % (len(str(i)), i) for i in range(count - 1)
    )
    last = JSON + b"Connection: close\r\nContent-Length: 3\r\n\r\nend"
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as sock:
        writer = threading.Thread(target=sock.sendall, args=(requests + last,))
        writer.start()
        answer = b""
        while part := sock.recv(1 << 20):
            answer += part
        writer.join()
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"%d" % i for i in range(count - 1)] + [b"end"]


def test_slow_heads_and_bodies_are_answered_408(site):
    """H11: what does not come within its time is told so, and hung up on."""
    for data in (b"GET /heal", JSON + b"Content-Length: 10\r\n\r\n{"):
        began = time.monotonic()
        error = refused(site.raw(data), 408)
        assert error["code"] == "request_timeout"
        assert 0.4 < time.monotonic() - began < 10


def test_thousands_of_half_open_heads_are_gone_after_their_time(start_site):
    """2,000 connections with half a head are all closed, and others are served meanwhile."""
    site = start_site(header_timeout_s=1.0, max_connections=4096)
    socks = []
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
            sock.sendall(b"GET /healthz HTTP/1.1\r\nX-A: ")
            socks.append(sock)
        assert site.request("GET", "/healthz")[0] == 200
        until = time.monotonic() + 10
        for sock in socks:
            sock.settimeout(max(0.1, until - time.monotonic()))
            assert sock.recv(65536).startswith(b"HTTP/1.1 408 ")
            assert sock.recv(1) == b""


def test_tight_limits_are_kept(start_site, function_route):
    """Connections too many, idle ones, and those that do not read are refused or ended."""
    site = start_site(max_connections=8, idle_timeout_s=0.6, body_timeout_s=0.5)
    site.route(function_route(site.start_replica("r1")))
    _refuses_connections_beyond_the_limit(site)
    _ends_idle_connections(site)
    _cuts_off_callers_who_do_not_read(site)


def _refuses_connections_beyond_the_limit(site) -> None:
    held = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(8)]
    try:
        for sock in held:
            sock.sendall(GET + b"\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        answer = site.raw(GET + b"\r\n")
        assert refused(answer, 503)["code"] == "too_many_connections"
        assert b"Retry-After: 1\r\n" in answer
    finally:
        for sock in held:
            sock.close()
    site.wait_until(
        lambda: site.raw(GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    )


def _ends_idle_connections(site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        sock.sendall(GET + b"\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert sock.recv(1) == b""


def _cuts_off_callers_who_do_not_read(site) -> None:
    body = b'"' + b"x" * 8_000_000 + b'"'
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        site.wait_until(lambda: bool(site.replicas["r1"].calls))
        site.wait_until(lambda: _connections(site) == 0)


def _connections(site) -> int:
    reports = site.heard(Report)
    return reports[-1].connections if reports else -1


def test_resets_in_the_middle_leave_nothing_behind(site):
    """H15: callers that reset while they send or wait cost the gateway nothing."""
    body = b'{"do": "silence"}'
    for half in (
        JSON + b"Content-Length: 10\r\n\r\n{",
        JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    ):
        for _ in range(100):
            sock = socket.create_connection(("127.0.0.1", site.port))
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            sock.sendall(half)
            sock.close()
    site.wait_until(lambda: _connections(site) == 0)
    site.wait_until(lambda: _ongoing(site) == 0)
    assert site.call({"x": 1})[0] == 200


def _ongoing(site) -> int:
    functions = [one for report in site.heard(Report) for one in report.functions]
    return functions[-1].ongoing
