"""What a gateway counts for a function, and what bounds its calls."""

import asyncio
from typing import Any

import msgspec
import pytest

from edgefn.errors import QueueFull
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.call import NO_DEADLINE_WAIT_S, PendingCall, instants
from edgefn.gateway.control import LATENCY_EDGES_S, FunctionRoute, VariantRoute
from edgefn.gateway.errors import Unavailable
from edgefn.gateway.function import MAX_WAITING, Function
from edgefn_runtime.frames import parse_frame
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given
from edgefn_runtime.wire import NO_BUDGET, Call, Reply


@pytest.fixture
def function() -> Function:
    schema = FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=())
    spec = FunctionSpec(name="f")
    variants = (VariantRoute(variant=as_given({})),)
    return Function(
        FunctionRoute(
            name="f",
            revision=1,
            spec=spec,
            schema=schema,
            variants=variants,
            default="python",
            replicas=(),
        )
    )


def make_call(**changes: Any) -> PendingCall:
    settings: dict[str, Any] = {
        "read_s": 100.0,
        "budget_s": 0.5,
        "timeout_s": 2.0,
        "content": 1,
        "accept": 1,
        "aux": 0,
        "head": b"",
        "answered": asyncio.Future(loop=asyncio.new_event_loop()),
    }
    loop = settings["answered"].get_loop()
    loop.close()
    settings |= changes
    deadline_s, give_up_s = instants(
        settings["read_s"], settings.pop("budget_s"), settings["timeout_s"]
    )
    return PendingCall(function="f", deadline_s=deadline_s, give_up_s=give_up_s, **settings)


def reply(queue_us: int = 100, service_us: int = 2000) -> Reply:
    return Reply(1, 0, 1, 0, queue_us, service_us, 0, 1, 0, b"")


def test_reports_are_differences(function):
    """Each count is reported once; without news there is no report."""
    assert function.take_report({}) is not None  # that it exists is news
    assert function.take_report({}) is None
    for elapsed_s in (0.003, 0.02, 99.0):
        function.count_result(elapsed_s, reply(), "python")
    function.count_variant("python")
    function.count(429)
    function.count_miss("queue")
    first = function.take_report({"r1": 1})
    assert first.outcomes == {200: 3, 429: 1}
    assert first.misses == {"queue": 1}
    assert first.variants == {"python": 4}
    assert first.latency_buckets[LATENCY_EDGES_S.index(0.005)] == 1
    assert first.latency_buckets[LATENCY_EDGES_S.index(0.02)] == 1  # an edge is in its bucket
    assert first.latency_buckets[-1] == 1
    assert first.latency_sum_s == pytest.approx(99.023)
    assert first.queue_sum_s == pytest.approx(0.0003)
    assert first.service_sum_s == pytest.approx(0.006)
    assert (first.ongoing, first.replicas) == (1, {"r1": 1})
    second = function.take_report({"r1": 0})
    assert (second.outcomes, second.ongoing) == ({}, 0)
    assert function.take_report({"r1": 0}) is None
    msgspec.msgpack.encode(second)


def test_a_bounded_number_of_calls_waits(function):
    """Beyond the bound a call is refused; who has waited makes room and counts as a cold start."""
    calls = [make_call() for _ in range(MAX_WAITING)]
    for call in calls:
        function.wait(call, "python")
    with pytest.raises(QueueFull):
        function.wait(make_call(), "python")
    function.waited(calls[0], 100.25)
    assert calls[0].waited_s == 0.25
    function.wait(make_call(), "python")
    report = function.take_report({})
    assert (report.waiting, report.cold_starts) == ({"python": MAX_WAITING}, 1)


def test_the_budget_on_the_wire_is_what_is_left():
    """Until the deadline, but for the way back; never less than nothing, or none."""
    call = make_call()
    for now_s, way_back_s, budget_us in ((100.2, 0.0, 300_000), (100.2, 0.1, 200_000), (101, 0, 0)):
        frame = parse_frame(call.frame(7, now_s, way_back_s))
        assert isinstance(frame, Call)
        assert frame.budget_us == pytest.approx(budget_us, abs=2)
    frame = parse_frame(make_call(budget_s=None).frame(7, 100.2, 0.1))
    assert isinstance(frame, Call) and frame.budget_us == NO_BUDGET


def test_every_call_is_given_up_some_time():
    """Just after its deadline; without one, after its run time and a fixed wait."""
    assert 100.5 < make_call().give_up_s < 100.51
    call = make_call(budget_s=None)
    assert call.give_up_s == 100.0 + 2.0 + NO_DEADLINE_WAIT_S
    assert call.late().body().code == "timed_out"
    assert make_call().late().body().code == "deadline_exceeded"


def test_large_bodies_share_a_bounded_memory():
    """Small bodies are free; large ones are refused when they would take too much together."""
    memory = BodyMemory(1_000_000)
    assert memory.hold(10_000) == 0
    held = memory.hold(600_000)
    with pytest.raises(Unavailable):
        memory.hold(600_000)
    memory.free(held)
    assert memory.hold(1_000_000) == 1_000_000
