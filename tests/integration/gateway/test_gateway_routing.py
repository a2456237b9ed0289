"""What the router decides, as callers and operators of a real gateway see it."""

import json
import socket

import pytest

from edgefn.gateway.control import Report, VariantRoute
from edgefn_runtime.variant import Estimate, Latency, Measurement, Variant

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def variant(name, accuracy, run_s):
    measured = Measurement(
        size_bytes=1000,
        load_s=0.01,
        private_bytes=2000,
        latencies=(Latency(batch=1, p50_s=run_s, p95_s=run_s * 1.1),),
        accuracy=Estimate(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01, rows=100),
    )
    return VariantRoute(variant=Variant(name=name, backend="onnx", measured=measured))


@pytest.fixture
def two_variants(empty_site, function_route):
    """A site with a quick variant at `r1` and an exact one at `r2`."""

    def routed(**spec):
        replicas = (
            empty_site.start_replica("r1", variant="quick"),
            empty_site.start_replica("r2", variant="exact"),
        )
        variants = (variant("quick", 0.9, 0.001), variant("exact", 0.99, 0.3))
        empty_site.route(function_route(*replicas, variants=variants, default="quick", spec=spec))
        return empty_site

    return routed


@pytest.fixture
def two_replicas(empty_site, function_route):
    """A site with a function of two equal replicas that have answered, so that it may retry."""
    replicas = [empty_site.start_replica(name) for name in ("r1", "r2")]
    empty_site.route(function_route(*replicas))
    for number in range(20):
        assert empty_site.call(number)[0] == 200
    return empty_site


def test_a_result_says_what_was_predicted(site):
    """And where it was answered, and whether that was in time."""
    _, headers, _ = site.call({"x": 1}, Edgefn_Deadline_Ms="5000")
    assert headers["Edgefn-Sla"] == "met"
    assert (headers["Edgefn-Tier"], headers["Edgefn-Box"]) == ("edge", "box1")
    assert 0.0 <= float(headers["Edgefn-Predicted-Ms"]) < 5000
    assert "net;" not in headers["Server-Timing"]


def test_a_failure_says_where_it_was_sent(site):
    """What a replica answers instead of a result has the same lines."""
    status, headers, _ = site.call({"do": "fail", "code": "function_failed"})
    assert status == 502
    assert headers["Edgefn-Variant"] == "onnx" and "Edgefn-Predicted-Ms" in headers
    assert "Edgefn-Sla" not in headers


@pytest.mark.parametrize(("sure", "answered_by"), [(0.9, "quick"), (0.5, "exact")])
def test_a_doubtful_answer_goes_to_the_better_variant(two_variants, sure, answered_by):
    """By what the reply says of itself; the body is not looked into."""
    site = two_variants(escalate_below=0.8)
    body = {"do": "doubt", "r1": sure, "r2": 0.99}
    status, headers, answer = site.call(body, Edgefn_Deadline_Ms="9000")
    assert (status, headers["Edgefn-Variant"]) == (200, answered_by)
    assert answer == ["r1" if answered_by == "quick" else "r2"]


def test_a_better_answer_that_does_not_come_costs_nothing(two_variants):
    """The doubtful one is given within the deadline."""
    site = two_variants(escalate_below=0.8)
    site.run(stall(site.replicas["r2"]))
    body = {"do": "doubt", "r1": 0.5, "r2": 0.99}
    status, headers, answer = site.call(body, Edgefn_Deadline_Ms="900")
    assert (status, answer, headers["Edgefn-Variant"]) == (200, ["r1"], "quick")
    site.wait_until(lambda: sent(site).get("escalation"))


async def stall(replica):
    replica.act = lambda call: None


def sent(site):
    """Returns how many calls were sent, by purpose."""
    site.request("GET", "/metrics")
    counts = {}
    for report in site.heard(Report):
        for function in report.functions:
            for one in function.sent:
                counts[one.purpose] = counts.get(one.purpose, 0) + one.count
    return counts


def test_a_call_that_a_replica_refuses_is_tried_at_another(two_replicas):
    """It never ran, so any function's call may be."""
    assert two_replicas.call({"do": "refuse once"})[0] == 200
    assert sent(two_replicas)["retry"] == 1


def test_a_lost_call_is_tried_again_if_its_caller_allows_it(two_replicas):
    """`Idempotency-Key` says so; without it the loss is told."""
    status, _, _ = two_replicas.call({"do": "die once", "n": 1}, Idempotency_Key="a")
    assert status == 200


def test_a_lost_call_that_may_not_run_twice_is_told(two_replicas):
    """Nobody knows whether it ran."""
    status, headers, body = two_replicas.call({"do": "die once", "n": 2})
    assert (status, body["error"]["code"]) == (502, "replica_lost")
    assert headers["Edgefn-Variant"] == "onnx"


@pytest.mark.parametrize("told", ["10", "-1", "high", "5.0", "\u00b2"])
def test_a_priority_is_one_digit(site, told):
    """Anything else is a mistake of the caller's."""
    status, _, body = site.call({"x": 1}, Edgefn_Priority=told)
    assert (status, body["error"]["code"]) == (400, "invalid_input")
    assert "from 0 to 9" in body["error"]["message"]


@pytest.mark.parametrize(("told", "passed"), [(TRACE, TRACE), ("00-1-2-3", ""), (TRACE[:-1], "")])
def test_a_trace_is_passed_on(site, told, passed):
    """To the replica; what is malformed is ignored."""
    _, _, (_, head) = site.call({"do": "head"}, traceparent=told)
    assert head.get("traceparent", "") == passed


def test_a_refusal_does_not_wait_for_the_body(two_replicas):
    """A call without a chance is told so by its head alone."""
    site = two_replicas
    for _ in range(3):
        for name in ("r1", "r2"):
            site.replicas[name].act = slow(site.replicas[name])
        site.call({"x": 1})
    head = (
        b"POST /v1/functions/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Edgefn-Deadline-Ms: %d\r\nContent-Length: %d\r\n\r\n"
    )
    connections = []
    for name in ("r1", "r2", "r1", "r2"):  # all are busy: no call is sent to try whether they are
        site.replicas[name].act = lambda call: None
        busy = socket.create_connection(("127.0.0.1", site.port), timeout=5)
        busy.sendall(head % (9000, 2) + b"{}")
        connections.append(busy)
    calls = site.replicas
    site.wait_until(
        lambda: sum(call.body == b"{}" for r in calls.values() for call in r.calls) == 4
    )
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as sock:
        sock.sendall(head % (5, 1000))
        answer = sock.recv(65536)
    assert b" 504 " in answer and b"deadline_unattainable" in answer
    assert b"predicted_ms" in answer and b"Edgefn-Sla: missed" in answer
    for busy in connections:
        busy.close()


def slow(replica):
    """Has a replica say that runs take half a second."""
    return lambda call: replica.answer(call, 0, b"1", service_us=500_000)


def test_the_router_explains_itself(two_variants):
    """With every candidate, the best first."""
    site = two_variants()
    path = "/admin/v1/route/echo?deadline_ms=900&size_bytes=100&priority=9"
    status, _, body = site.request("GET", path)
    told = json.loads(body)
    assert status == 200
    assert (told["function"], told["budget_ms"]) == ("echo", pytest.approx(900, abs=50))
    assert [one["variant"] for one in told["candidates"]] == ["quick", "exact"]
    assert [bool(one["lost_because"]) for one in told["candidates"]] == [False, True]
    for wrong, status in (("echo?deadline_ms=-1", 400), ("echo?size=1", 400), ("none", 404)):
        assert site.request("GET", f"/admin/v1/route/{wrong}")[0] == status


def test_the_last_decisions_can_be_read(site):
    """Each with its predicted legs; misses are kept apart."""
    site.call({"x": 1}, X_Request_Id="in-time", Edgefn_Deadline_Ms="5000", traceparent=TRACE)
    site.call({"do": "silence"}, X_Request_Id="too-late", Edgefn_Deadline_Ms="400")
    status, _, body = site.request("GET", "/admin/v1/decisions?function=echo&limit=2")
    late, met = json.loads(body)["decisions"]
    assert status == 200
    assert (met["request_id"], met["status"], met["sla"]) == ("in-time", 200, "met")
    assert met["traceparent"] == TRACE and met["sent"]["variant"] == "onnx"
    assert {"network_ms", "wait_ms", "service_ms", "bound_ms"} <= met["sent"].keys()
    assert (late["request_id"], late["sla"]) == ("too-late", "missed") and late["cause"]
    _, _, body = site.request("GET", "/admin/v1/decisions?missed=1&limit=1")
    assert [one["request_id"] for one in json.loads(body)["decisions"]] == ["too-late"]
    assert site.request("GET", "/admin/v1/decisions?limit=x")[0] == 400
