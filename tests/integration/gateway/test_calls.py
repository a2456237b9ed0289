"""Calls through a real gateway process, to replicas that do as they are told."""

import contextlib
import http.client
import json
import socket
import time

import msgspec
import pytest

from edgefn.gateway.call import GRACE_S
from edgefn.gateway.control import Report, Suspect

_SLACK_S = 0.05  # a loaded test machine


def test_the_body_arrives_undecoded_and_the_answer_comes_back(site):
    """A call's bytes are forwarded as they are, and the reply's bytes are the answer's body."""
    status, headers, body = site.request(
        "POST", "/v1/functions/echo", b'{"x" :  1}', {"Content-Type": "application/json"}
    )
    assert (status, body) == (200, b'{"x" :  1}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Edgefn-Variant"] == "onnx"
    assert headers["Edgefn-Tier"] == "edge"
    assert headers["Edgefn-Box"] == "box1"
    assert headers["Server-Timing"] == "queue;dur=0.1, compute;dur=2.0"
    assert "Edgefn-Sla" not in headers
    assert "Date" in headers


def test_msgpack_is_answered_in_msgpack_and_json_on_request(site):
    """The answer has the encoding of the call, unless Accept says otherwise."""
    body = msgspec.msgpack.encode({"x": 1})
    for sent, accept, answered in (
        ("application/msgpack", None, "application/msgpack"),
        ("application/x-msgpack; v=1", "*/*", "application/msgpack"),
        ("application/msgpack", "application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "text/html, application/msgpack;q=0.5",
         "application/msgpack"),
    ):  # fmt: skip
        headers = {"Content-Type": sent} | ({"Accept": accept} if accept else {})
        status, got, _ = site.request("POST", "/v1/functions/echo", body, headers)
        assert (status, got["Content-Type"]) == (200, answered), sent


def test_each_call_on_a_connection_gets_what_its_own_head_asks_for(site):
    """Heads that are the same are read once; whatever differs, here or in the function, counts."""
    heads = (
        {"Edgefn-Deadline-Ms": "5000"},
        {"Edgefn-Deadline-Ms": "5000"},
        {},
        {"Edgefn-Deadline-Ms": "0"},
        {"X-Request-Id": "mine"},
        {"X-Request-Id": "mine"},
    )
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)
    with contextlib.closing(connection):
        answers = []
        for head in heads:
            told = {"Content-Type": "application/json", **head}
            connection.request("POST", "/v1/functions/echo", b'{"x":1}', told)
            answer = connection.getresponse()
            answer.read()
            answers.append((answer.status, answer.headers["Edgefn-Sla"]))
            if "X-Request-Id" in head:
                assert answer.headers["X-Request-Id"] == "mine"
    assert answers == [(200, "met")] * 2 + [(200, None), (400, None)] + [(200, None)] * 2


def test_a_sound_alone_is_a_whole_call(site):
    """Bytes of a listed media type are forwarded with that type, and answered in JSON."""
    status, headers, body = site.request(
        "POST", "/v1/functions/echo", b'{"do":"head"}', {"Content-Type": "audio/wav"}
    )
    content, head = json.loads(body)
    assert (status, headers["Content-Type"], content) == (200, "application/json", 4)
    assert head["media_type"] == "audio/wav"


def test_request_ids_are_echoed_or_made(site):
    """A short plain id comes back and goes to the replica; any other is replaced."""
    _, headers, (_, head) = site.call({"do": "head"}, X_Request_Id="job-7")
    assert headers["X-Request-Id"] == "job-7" == head["request_id"]
    seen = set()
    for bad in ("", "with space", "x" * 200):
        _, headers, (_, head) = site.call({"do": "head"}, X_Request_Id=bad)
        assert headers["X-Request-Id"] == head["request_id"] != bad
        seen.add(headers["X-Request-Id"])
    assert len(seen) == 3


def test_the_deadline_is_told_as_met_or_missed(site):
    """A call with a deadline is told whether it was met, also when a result is a little late."""
    _, headers, _ = site.call({"x": 1}, Edgefn_Deadline_Ms="1000")
    assert headers["Edgefn-Sla"] == "met"
    budget_us = site.replicas["r1"].calls[-1].budget_us
    assert 900_000 < budget_us <= 1_000_000


def test_a_silent_replica_costs_the_deadline_and_no_more(site):
    """At the deadline and its grace the caller gets 504, and the replica a cancel."""
    site.call({"x": 1})
    began = time.monotonic()
    status, headers, body = site.call({"do": "silence"}, Edgefn_Deadline_Ms="200")
    took_s = time.monotonic() - began
    assert (status, body["error"]["code"]) == (504, "deadline_exceeded")
    assert headers["Edgefn-Sla"] == "missed"
    assert 0.2 <= took_s < 0.2 + GRACE_S + _SLACK_S
    call_id = site.replicas["r1"].calls[-1].id
    site.wait_until(lambda: call_id in site.replicas["r1"].cancelled)


def test_the_deadline_holds_while_the_body_is_read(site):
    """A body that comes slowly spends the call's budget too."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        began = time.monotonic()
        sock.sendall(
            b"POST /v1/functions/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Edgefn-Deadline-Ms: 100\r\nContent-Length: 100\r\n\r\n{"
        )
        answer = sock.recv(65536)
        took_s = time.monotonic() - began
    assert b" 504 " in answer and b"deadline_exceeded" in answer
    assert took_s < 0.1 + GRACE_S + _SLACK_S


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_input", 400),
        ("queue_full", 429),
        ("function_failed", 502),
        ("deadline_unattainable", 504),
        ("timed_out", 504),
        ("no_such_code", 500),
    ],
)
def test_a_replicas_error_has_its_status_and_shape(site, code, status):
    """The code decides on the status; an unknown one tells nothing of what is inside."""
    got, headers, body = site.call({"do": "fail", "code": code}, X_Request_Id="abc")
    assert got == status
    assert body["request_id"] == "abc" == headers["X-Request-Id"]
    assert body["error"]["code"] == ("internal" if status == 500 else code)
    assert ("replica says" in body["error"]["message"]) == (status != 500)
    assert body["error"]["detail"] == ({} if status == 500 else {"why": "a test"})
    assert ("Retry-After" in headers) == (status == 429)


def test_errors_speak_msgpack_to_those_who_do(site):
    """A caller that sends or accepts msgpack gets its errors in it."""
    for headers in (
        {"Content-Type": "application/msgpack"},
        {"Content-Type": "application/json", "Accept": "application/msgpack"},
    ):
        order = b'{"do": "fail", "code": "function_failed"}'
        status, got, body = site.request("POST", "/v1/functions/echo", order, headers)
        assert (status, got["Content-Type"]) == (502, "application/msgpack")
        assert msgspec.msgpack.decode(body)["error"]["code"] == "function_failed"


@pytest.mark.parametrize("value", ["0", "-5", "soon", "nan", "inf", "1_000", "1e12", ""])
def test_a_deadline_that_is_none_is_refused(site, value):
    """Edgefn-Deadline-Ms is a positive number."""
    status, _, body = site.call({"x": 1}, Edgefn_Deadline_Ms=value)
    assert (status, body["error"]["code"]) == (400, "invalid_input")
    assert "Edgefn-Deadline-Ms" in body["error"]["message"]


@pytest.mark.parametrize("value", ["1.01", "-0.1", "high", "nan"])
def test_an_accuracy_that_is_none_is_refused(site, value):
    """Edgefn-Min-Accuracy is a number from 0 to 1."""
    assert site.call({"x": 1}, Edgefn_Min_Accuracy="0")[0] == 200
    status, _, body = site.call({"x": 1}, Edgefn_Min_Accuracy=value)
    assert (status, body["error"]["code"]) == (400, "invalid_input")


def test_a_caller_who_leaves_frees_the_replica(site):
    """A disconnect while a call runs becomes a cancel at once."""
    site.call({"x": 1})
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        body = b'{"do": "silence"}'
        sock.sendall(
            b"POST /v1/functions/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        site.wait_until(lambda: site.replicas["r1"].calls[-1].body == body)
        call_id = site.replicas["r1"].calls[-1].id
    site.wait_until(lambda: call_id in site.replicas["r1"].cancelled)
    site.wait_for(Report, lambda r: any(499 in one.outcomes for one in r.functions))


def test_what_happened_is_reported_as_differences(empty_site, function_route):
    """Outcomes, durations and misses of calls reach the box once, before a metrics request."""
    site = empty_site
    site.route(function_route(site.start_replica("r1")))
    for _ in range(3):
        site.call({"x": 1}, Edgefn_Deadline_Ms="5000")
    site.call({"do": "fail", "code": "function_failed"})
    site.call({"do": "late", "s": 0.3}, Edgefn_Deadline_Ms="100")
    site.request("GET", "/metrics")
    reports = [one for report in site.heard(Report) for one in report.functions]
    outcomes: dict[int, int] = {}
    for report in reports:
        for status, count in report.outcomes.items():
            outcomes[status] = outcomes.get(status, 0) + count
    assert outcomes == {200: 3, 502: 1, 504: 1}
    assert sum(sum(one.latency_buckets) for one in reports) == 3
    assert sum(one.misses.get("compute", 0) for one in reports) == 1
    assert abs(sum(one.service_sum_s for one in reports) - 3 * 0.002) < 1e-6
    assert reports[-1].ongoing == 0


def test_a_lost_replica_costs_the_calls_that_it_held(empty_site, function_route):
    """They fail with 502 at once, the box is told, and the link is made again."""
    site = empty_site
    site.route(function_route(site.start_replica("r1")))
    for order in ("die", "garble"):
        status, _, body = site.call({"do": order})
        assert (status, body["error"]["code"]) == (502, "replica_lost")
        site.wait_for(Suspect, lambda told: told.replica == "r1")
        site.messages.clear()
        status, _, body = site.call({"x": 2}, Edgefn_Deadline_Ms="5000")
        assert (status, body) == (200, {"x": 2})


def test_a_replica_killed_for_its_run_time_is_a_timeout(empty_site, function_route):
    """A call whose replica is ended after `timeout_s` gets 504, not 502."""
    site = empty_site
    site.route(function_route(site.start_replica("r1"), spec={"timeout_s": 0.1}))
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        body = b'{"do": "silence"}'
        sock.sendall(
            b"POST /v1/functions/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        site.wait_until(lambda: bool(site.replicas["r1"].calls))
        time.sleep(0.12)  # what the box does after this long is what is tested
        site.stop_replica("r1")
        answer = sock.recv(65536)
    assert b" 504 " in answer and b"timed_out" in answer


def test_calls_without_an_answer_make_the_box_look(empty_site, function_route):
    """After three overdue calls in a row a replica is suspect."""
    site = empty_site
    site.route(function_route(site.start_replica("r1")))
    statuses = set()
    while not site.heard(Suspect):
        statuses.add(site.call({"do": "silence"}, Edgefn_Deadline_Ms="60")[0])
    assert statuses == {504}
    assert "not answered in time" in site.heard(Suspect)[0].reason
