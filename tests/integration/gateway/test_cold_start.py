"""Functions without a replica, replicas that come and go, and the end of a gateway."""

import http.client
import json
import signal
import threading
import time

import msgspec

from edgefn.gateway.control import Report, Suspect, Wake
from edgefn_runtime.manifest import Scale


def test_a_call_waits_for_its_first_replica(empty_site, function_route):
    """The box is woken at once, and the call is answered when a replica is there."""
    site = empty_site
    site.route(function_route())
    answers = []
    caller = threading.Thread(target=lambda: answers.append(site.call({"x": 1})))
    caller.start()
    site.wait_for(Wake, lambda wake: wake.function == "echo")
    site.wait_for(
        Report, lambda report: any(one.waiting == {"onnx": 1} for one in report.functions)
    )
    site.route(function_route(site.start_replica("r1")))
    caller.join(10)
    ((status, headers, body),) = answers
    assert (status, body) == (200, {"x": 1})
    assert "cold;dur=" in headers["Server-Timing"]
    site.request("GET", "/metrics")
    reports = [one for report in site.heard(Report) for one in report.functions]
    assert reports[-1].waiting == {}
    assert sum(one.cold_starts for one in reports) == 1


def test_a_call_that_waits_in_vain_is_answered_at_its_deadline(empty_site, function_route):
    """No replica within the deadline is 504, counted as a cold miss."""
    site = empty_site
    site.route(function_route())
    began = time.monotonic()
    status, headers, body = site.call({"x": 1}, Edgefn_Deadline_Ms="150")
    assert (status, body["error"]["code"]) == (504, "deadline_exceeded")
    assert "replica" in body["error"]["message"]
    assert 0.15 <= time.monotonic() - began < 2.0
    site.request("GET", "/metrics")
    reports = [one for report in site.heard(Report) for one in report.functions]
    assert sum(one.misses.get("cold", 0) for one in reports) == 1


def test_a_hopeless_start_is_refused_at_once_and_made_all_the_same(empty_site, function_route):
    """A call that cannot outlast the start gets 504 immediately; the replica is started."""
    site = empty_site
    site.route(function_route(load_s=5.0))
    began = time.monotonic()
    status, _, body = site.call({"x": 1}, Edgefn_Deadline_Ms="500")
    assert (status, body["error"]["code"]) == (504, "deadline_unattainable")
    assert time.monotonic() - began < 0.5
    site.wait_for(Wake)


def test_a_quarantine_fails_those_who_wait_and_those_who_come(empty_site, function_route):
    """Callers are told why, with 503; time alone will not help them."""
    site = empty_site
    site.route(function_route())
    answers = []
    caller = threading.Thread(target=lambda: answers.append(site.call({"x": 1})))
    caller.start()
    site.wait_for(Wake)
    site.route(function_route(state="quarantined", reason="five deaths in a minute"))
    caller.join(10)
    for status, headers, body in (*answers, site.call({"x": 1})):
        assert (status, body["error"]["code"]) == (503, "quarantined")
        assert "five deaths in a minute" in body["error"]["message"]
        assert "Retry-After" not in headers


def test_a_removed_function_fails_those_who_wait(empty_site, function_route):
    """A function that goes away answers its waiting callers with 404."""
    site = empty_site
    site.route(function_route())
    answers = []
    caller = threading.Thread(target=lambda: answers.append(site.call({"x": 1})))
    caller.start()
    site.wait_for(Wake)
    site.route()
    caller.join(10)
    assert answers[0][0] == 404


def test_readiness_waits_for_routes_and_replicas(start_site, function_route):
    """/readyz is 503 until every function that must have a replica has one."""
    site = start_site()
    status, _, body = site.request("GET", "/readyz")
    assert (status, json.loads(body)["ready"]) == (503, False)
    assert site.call({"x": 1})[0] == 503
    always = {"scale": Scale(min=1)}
    site.route(function_route(spec=always))
    status, _, body = site.request("GET", "/readyz")
    assert status == 503 and "'echo' has no replica" in body.decode()
    assert site.request("GET", "/v2/health/ready")[0] == 503
    assert site.request("GET", "/v2/models/echo/ready")[0] == 503
    site.route(function_route(site.start_replica("r1"), spec=always))
    assert site.request("GET", "/readyz")[0] == 200
    assert site.request("GET", "/v2/models/echo/ready")[0] == 200
    site.route(function_route())
    assert site.request("GET", "/readyz")[0] == 200  # it may start with its first call


def test_what_is_served_elsewhere_is_not_waited_for(empty_site, function_route):
    """A box for whose tier a function is not gets no replica of it, and is ready all the same."""
    site = empty_site
    route = function_route(spec={"scale": Scale(min=1)})
    nowhere = [msgspec.structs.replace(one, state="unavailable") for one in route.variants]
    site.route(msgspec.structs.replace(route, variants=tuple(nowhere)))
    assert site.request("GET", "/readyz")[0] == 200


def test_an_update_loses_no_call(empty_site, function_route):
    """Calls that the old replica holds are answered by it; it is left when they are."""
    site = empty_site
    site.route(function_route(site.start_replica("r1")))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(site.call({"do": "late", "s": 0.4})))
    caller.start()
    site.wait_until(lambda: bool(site.replicas["r1"].calls))
    site.route(function_route(site.start_replica("r2"), revision=2))
    assert site.call({"x": 2})[0] == 200
    assert len(site.replicas["r2"].calls) == 1
    assert site.replicas["r1"].transport is not None
    caller.join(10)
    assert answers[0][0] == 200
    site.wait_until(lambda: site.replicas["r1"].transport is None)
    assert not site.heard(Suspect)


def test_calls_that_never_left_go_to_another_replica(empty_site, function_route):
    """Of a replica that stops reading and dies, only those calls fail that were written to it."""
    site = empty_site
    first = site.start_replica("r1")
    site.route(function_route(first))
    answers: list[int] = []
    big = b'"' + b"x" * 4_000_000 + b'"'

    def call(body: bytes) -> None:
        answers.append(site.call(body, Edgefn_Deadline_Ms="8000")[0])

    callers = [threading.Thread(target=call, args=(b'{"do": "stall"}',))]
    callers[0].start()
    site.wait_until(lambda: bool(site.replicas["r1"].calls))
    for count in range(2, 6):  # the first of these fills the socket, and is half written
        callers.append(threading.Thread(target=call, args=(big,)))
        callers[-1].start()
        site.wait_until(lambda wanted=count: _held(site, "r1") == wanted)
    site.route(function_route(first, site.start_replica("r2")))
    site.stop_replica("r1")
    for caller in callers:
        caller.join(10)
    assert sorted(answers) == [200, 200, 200, 502, 502]
    assert [call.body for call in site.replicas["r2"].calls] == [big] * 3


def _held(site, replica: str) -> int:
    functions = [one for report in site.heard(Report) for one in report.functions]
    return functions[-1].replicas.get(replica, 0) if functions else 0


def test_two_replicas_share_the_work(empty_site, function_route):
    """Calls that come while one replica is busy go to the other one."""
    site = empty_site
    routes = [site.start_replica(name) for name in ("r1", "r2")]
    site.route(function_route(*routes))
    for _ in range(4):
        site.call({"do": "late", "s": 0.05})
    callers = [
        threading.Thread(target=site.call, args=({"do": "late", "s": 0.3},)) for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    busy = [
        sum(b'"s": 0.3' in call.body for call in site.replicas[name].calls) for name in ("r1", "r2")
    ]
    assert sum(busy) == 8 and min(busy) >= 1


def test_a_gateway_that_is_told_to_stop_fails_no_call(start_site, function_route):
    """Keep-alive callers get `Connection: close` with an answer; then the process exits with 0."""
    site = start_site()
    site.route(function_route(site.start_replica("r1")))
    wrong: list[object] = []
    stopped = threading.Event()

    def keep_calling() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                connection.request("POST", "/v1/functions/echo", b"{}", headers)
                response = connection.getresponse()
                body = response.read()
            except OSError as error:
                wrong.append(error)
                return
            if (response.status, body) != (200, b"{}"):
                wrong.append((response.status, body))
            if response.getheader("Connection") == "close":
                assert stopped.is_set()
                connection.close()
                return

    callers = [threading.Thread(target=keep_calling) for _ in range(8)]
    for caller in callers:
        caller.start()
    site.wait_until(lambda: len(site.replicas["r1"].calls) > 100)
    stopped.set()
    site.stop()
    for caller in callers:
        caller.join(10)
    assert site.process.wait(10) == 0
    assert wrong == []
    functions = [one for report in site.heard(Report) for one in report.functions]
    assert sum(one.outcomes.get(200, 0) for one in functions) == len(site.replicas["r1"].calls)


def test_quiet_callers_do_not_hold_up_the_end(start_site):
    """A connection on which nothing is asked is closed after a moment."""
    site = start_site()
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    began = time.monotonic()
    site.stop()
    assert site.process.wait(10) == 0
    assert time.monotonic() - began < 5
    connection.close()


def test_a_gateway_ends_with_its_box(start_site):
    """The end of the control socket ends the process; Ctrl-C does not."""
    site = start_site()
    site.process.send_signal(signal.SIGINT)
    assert site.request("GET", "/healthz")[0] == 200
    site.loop.call_soon_threadsafe(site.box.abort)
    assert site.process.wait(2) == 1
