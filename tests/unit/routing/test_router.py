"""The router, on a clock that the tests turn."""

import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.routing.decisions import Decision, Refuse, Send, Wait
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Deployment,
    Disconnected,
    TableChanged,
)
from edgefn.routing.router import CLEAR_MARGIN, HOPELESS_START, Router
from edgefn.routing.variants import Choice, DeployedVariant


@dataclass(frozen=True)
class Demand:
    function: str = "f"
    deadline_s: float | None = None
    choice: Choice | None = None


def deployed(*endpoints: str, connected: bool = True, **changes: object) -> Router:
    """Returns a router with one function, `f`, and its endpoints."""
    router = Router(max_outstanding=changes.pop("max_outstanding", 4))  # type: ignore[arg-type]
    redeploy(router, *endpoints, **changes)
    if connected:
        for endpoint in endpoints:
            router.observe(0.0, Connected(endpoint))
    return router


def redeploy(router: Router, *endpoints: str, **changes: object) -> None:
    """Lists the endpoints of one variant, and changes what is known of it."""
    deployment = Deployment(
        name="f",
        revision=changes.pop("revision", 1),  # type: ignore[arg-type]
        variants=(DeployedVariant(name="v", endpoints=endpoints, **changes),),  # type: ignore[arg-type]
        default="v",
    )
    router.observe(0.0, TableChanged((deployment,)))


def code(decision: Decision) -> str:
    assert isinstance(decision, Refuse)
    return decision.error.body().code


def answer(endpoint: str, service_s: float, **changes: object) -> Answered:
    return Answered(endpoint, service_s, **{"backlog_s": 0.0, "batch": 1, **changes})


def warm(router: Router, service_s: float, **backlogs_s: float) -> None:
    """Lets each endpoint answer one call."""
    for _ in backlogs_s:
        router.decide(0.0, Demand())
    for endpoint, backlog_s in backlogs_s.items():
        router.observe(0.0, answer(endpoint, service_s, backlog_s=backlog_s))


def test_unknown_functions_are_refused():
    """What is not deployed is an error of its own."""
    assert code(Router().decide(0.0, Demand("nope"))) == "unknown_function"
    router = deployed("a")
    router.observe(0.0, TableChanged(()))
    assert code(router.decide(0.0, Demand())) == "unknown_function"


def test_a_spent_budget_is_refused_before_anything_else():
    """A deadline that has passed is not sent anywhere, up or not."""
    for router in (deployed("a"), deployed(), deployed(quarantined="it dies")):
        assert code(router.decide(5.0, Demand(deadline_s=5.0))) == "deadline_unattainable"


def test_a_quarantine_is_told_with_its_reason():
    """A quarantined function takes no calls, even if a replica is still up."""
    decision = deployed("a", quarantined="five deaths").decide(0.0, Demand())
    assert code(decision) == "quarantined"
    assert "five deaths" in decision.error.message


def test_nothing_is_sent_to_an_endpoint_that_is_not_connected():
    """Listed is not up: calls wait until it is."""
    router = deployed("a", connected=False)
    assert isinstance(router.decide(0.0, Demand()), Wait)
    router.observe(0.0, Connected("a"))
    assert router.decide(0.0, Demand()) == Send(endpoint="a")
    router.observe(0.0, Disconnected("a"))
    assert isinstance(router.decide(0.0, Demand()), Wait)


def test_a_hopeless_cold_start_is_refused_but_started():
    """A call waits for a start that may be quick enough, and not for one that is far too slow."""
    router = deployed(load_s=1.0)
    budget_s = 1.0 / HOPELESS_START
    assert isinstance(router.decide(0.0, Demand(deadline_s=budget_s)), Wait)
    decision = router.decide(0.0, Demand(deadline_s=budget_s * 0.99))
    assert code(decision) == "deadline_unattainable"
    assert decision.wake
    assert decision.error.detail["retry_after_s"] == 1.0
    assert isinstance(router.decide(0.0, Demand()), Wait)


def test_idle_endpoints_are_taken_in_order_and_busy_ones_avoided():
    """Work goes to the first idle replica, then to the one with the least of it."""
    router = deployed("a", "b")
    warm(router, 0.01, a=0.0, b=0.0)
    sent = [router.decide(0.0, Demand()).endpoint for _ in range(4)]
    assert sent == ["a", "b", "a", "b"]


def test_work_that_others_sent_counts():
    """A reported backlog is avoided, and fades as the endpoint works it off."""
    router = deployed("a", "b")
    warm(router, 0.01, a=0.5, b=0.0)
    assert router.decide(0.1, Demand()).endpoint == "b"
    router.observe(0.1, answer("b", 0.01))
    assert router.decide(0.6, Demand()).endpoint == "a"


def test_work_on_its_way_counts():
    """Calls that the last report cannot have known of are not forgotten: no herding."""
    router = deployed("a", "b", max_outstanding=100)
    warm(router, 0.01, a=0.0, b=0.0)
    sent = [router.decide(0.0, Demand()).endpoint for _ in range(20)]
    assert sent.count("a") == sent.count("b") == 10


def test_full_endpoints_are_refused_with_a_time_to_come_back():
    """The bound holds for each endpoint; then callers are told when it pays to try again."""
    router = deployed("a", "b", max_outstanding=2)
    warm(router, 0.5, a=0.0, b=0.0)
    for _ in range(4):
        assert isinstance(router.decide(0.0, Demand()), Send)
    decision = router.decide(0.0, Demand())
    assert code(decision) == "queue_full"
    assert decision.error.detail["retry_after_s"] == pytest.approx(1.5)
    router.observe(0.5, answer("b", 0.5))
    assert router.decide(0.5, Demand()).endpoint == "b"


def test_calls_that_cannot_be_answered_in_time_are_refused():
    """A prediction must exceed the budget clearly; without a deadline nothing is refused for it."""
    router = deployed("a", max_outstanding=100)
    router.decide(0.0, Demand())
    router.observe(0.0, answer("a", 0.1))
    for _ in range(9):
        router.decide(0.0, Demand())  # 0.9 s of work, and 0.1 s for one more
    slack_s = 1.0 / CLEAR_MARGIN
    assert isinstance(router.decide(0.0, Demand(deadline_s=slack_s + 0.001)), Send)
    router.observe(0.0, Abandoned("a", 0.0))
    decision = router.decide(0.0, Demand(deadline_s=slack_s - 0.001))
    assert code(decision) == "deadline_unattainable"
    assert decision.error.detail["predicted_ms"] == pytest.approx(1000)
    assert isinstance(router.decide(0.0, Demand()), Send)


def test_one_slow_run_does_not_refuse_for_ever():
    """Without news an estimate fades, so that a call goes through and brings better news."""
    router = deployed("a")
    router.decide(0.0, Demand())
    router.observe(0.0, answer("a", 2.0))  # a first run, with everything cold
    tight = 0.05
    assert code(router.decide(0.1, Demand(deadline_s=0.1 + tight))) == "deadline_unattainable"
    now_s = next(
        t / 10
        for t in range(1, 200)
        if isinstance(router.decide(t / 10, Demand(deadline_s=t / 10 + tight)), Send)
    )
    assert now_s < 6.0
    router.observe(now_s, answer("a", 0.001))
    for _ in range(10):
        decision = router.decide(now_s, Demand(deadline_s=now_s + 10))
        assert isinstance(decision, Send)
        router.observe(now_s, answer("a", 0.001))
    assert isinstance(router.decide(now_s, Demand(deadline_s=now_s + 0.01)), Send)


def test_an_endpoint_that_says_nothing_is_avoided_until_it_speaks():
    """Overdue calls count against it, less as time goes by, and not at all once it answers."""
    router = deployed("a", "b")
    assert router.decide(0.0, Demand()).endpoint == "a"
    router.observe(1.0, Abandoned("a", 1.0))
    assert [router.decide(1.0, Demand()).endpoint for _ in range(3)] == ["b", "b", "b"]
    assert code(router.decide(1.0, Demand(deadline_s=1.0))) == "deadline_unattainable"
    router.observe(1.1, answer("a", 0.001, abandoned=True))  # it was slow, and is back
    assert router.decide(1.1, Demand()).endpoint == "a"


def test_a_new_endpoint_is_taken_for_what_its_siblings_are():
    """What is not known of a replica is known of its function."""
    router = deployed("a")
    router.decide(0.0, Demand())
    router.observe(0.0, answer("a", 1.0))
    router.decide(0.0, Demand())
    redeploy(router, "a", "b")
    router.observe(0.0, Connected("b"))
    assert router.decide(0.0, Demand()).endpoint == "b"
    decision = router.decide(0.0, Demand(deadline_s=0.5))
    assert code(decision) == "deadline_unattainable"


def test_a_new_revision_is_given_a_chance():
    """What was learned of a slow revision is not held against the next one."""
    router = deployed("a")
    router.decide(0.0, Demand())
    router.observe(0.0, answer("a", 1.0))
    redeploy(router, "b", revision=2)
    router.observe(0.0, Connected("b"))
    assert router.decide(0.0, Demand(deadline_s=0.1)) == Send(endpoint="b")


def test_events_of_endpoints_that_are_gone_change_nothing():
    """Late news of removed replicas is ignored."""
    router = deployed("a")
    for event in (
        Connected("ghost"),
        answer("ghost", 1.0),
        Abandoned("ghost", 1.0),
        Disconnected("ghost"),
    ):
        router.observe(0.0, event)
    assert router.decide(0.0, Demand()) == Send(endpoint="a")


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "tight", "answer", "late", "leave", "down", "up"]),
        st.sampled_from(["a", "b", "c"]),
        st.floats(0.0, 2.0),
    ),
    max_size=60,
)


@given(_STEPS)
def test_no_endpoint_is_sent_more_than_it_may_hold(steps):
    """Whatever happens: only connected endpoints get calls, never beyond the bound, and a call
    without a deadline is refused only when all are full."""
    limit = 3
    router = deployed("a", "b", "c", max_outstanding=limit)
    held = {"a": 0, "b": 0, "c": 0}
    now_s = 0.0
    for what, endpoint, number in steps:
        now_s += number / 10
        if what in ("call", "tight"):
            deadline_s = now_s + number if what == "tight" else None
            decision = router.decide(now_s, Demand(deadline_s=deadline_s))
            if isinstance(decision, Send):
                held[decision.endpoint] += 1
                assert held[decision.endpoint] <= limit
            elif what == "call":
                assert all(count == limit for count in held.values())
                assert isinstance(decision, Wait) == (not held)
        elif what == "up" and endpoint not in held:
            router.observe(now_s, Connected(endpoint))
            held[endpoint] = 0
        elif what == "down":
            router.observe(now_s, Disconnected(endpoint))
            held.pop(endpoint, None)
        elif held.get(endpoint):
            held[endpoint] -= 1
            if what == "answer":
                router.observe(now_s, answer(endpoint, number, backlog_s=number))
            else:
                router.observe(now_s, Abandoned(endpoint, number if what == "late" else 0.0))


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=20), st.floats(0.05, 2.0))
def test_refusals_end_when_endpoints_are_quiet(services_s, budget_s):
    """However slow the past was, a quiet minute makes any budget worth a try."""
    router = deployed("a")
    for service_s in services_s:
        router.decide(0.0, Demand())
        router.observe(0.0, answer("a", service_s))
    assert isinstance(router.decide(60.0, Demand(deadline_s=60.0 + budget_s)), Send)


def test_a_decision_costs_microseconds():
    """Four replicas are weighed in far less time than a call takes."""
    router = deployed("a", "b", "c", "d", max_outstanding=10**6)
    demand = Demand(deadline_s=1e9)
    best_s = min(_time_of(router, demand) for _ in range(5))
    assert best_s < 50e-6  # about 3 where nothing else runs


def _time_of(router: Router, demand: Demand) -> float:
    began = time.perf_counter()
    for _ in range(500):
        router.decide(1.0, demand)
    return (time.perf_counter() - began) / 500
