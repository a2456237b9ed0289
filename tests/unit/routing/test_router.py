"""The router, on a clock that the tests turn."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefn.routing.cold_start import HOPELESS_START
from edgefn.routing.decisions import Refuse, Send, Wait
from edgefn.routing.events import Abandoned, Connected, Disconnected, Failed


def test_unknown_functions_are_refused(make_site, site_of):
    """What is not deployed is an error of its own."""
    assert make_site().refuse() == "unknown_function"
    site = site_of("a")
    site.deploy()
    assert site.refuse() == "unknown_function"


def test_a_spent_budget_is_refused_before_anything_else(site_of):
    """A deadline that has passed is not sent anywhere, up or not."""
    for site in (site_of("a"), site_of(), site_of(quarantined="it dies")):
        assert site.refuse(within_s=0.0) == "deadline_unattainable"


def test_a_quarantine_is_told_with_its_reason(site_of):
    """A quarantined variant takes no calls, even if a replica is still up."""
    decision = site_of("a", quarantined="five deaths").decide()
    assert isinstance(decision, Refuse)
    assert decision.error.body().code == "quarantined"
    assert "five deaths" in decision.error.message


def test_nothing_is_sent_to_an_endpoint_that_is_not_connected(make_site, site_of):
    """Listed is not up: calls wait until it is."""
    site = site_of("a")
    site.router.observe(0.0, Disconnected("a"))
    assert site.decide() == Wait(variant="v", work_s=0.001)
    site.connect("a")
    assert site.send().endpoint == "a"


def test_a_hopeless_cold_start_is_refused_but_started(site_of):
    """A call waits for a start that may be quick enough, and not for one that is far too slow."""
    site = site_of(load_s=1.0)
    budget_s = 1.0 / HOPELESS_START
    assert isinstance(site.decide(within_s=budget_s), Wait)
    decision = site.decide(within_s=budget_s * 0.99)
    assert isinstance(decision, Refuse)
    assert decision.error.body().code == "deadline_unattainable"
    assert (decision.wake, decision.variant) == ("v", "v")
    assert decision.error.detail["retry_after_s"] == 1.0
    assert isinstance(site.decide(), Wait)


def test_idle_endpoints_are_taken_in_order_and_busy_ones_avoided(site_of):
    """Work goes to the first idle replica, then to the one with the least of it."""
    site = site_of("a", "b")
    site.warm(0.01, a=0.0, b=0.0)
    assert [site.send().endpoint for _ in range(4)] == ["a", "b", "a", "b"]


def test_work_that_others_sent_counts(site_of):
    """A reported backlog is avoided, and fades as the endpoint works it off."""
    site = site_of("a", "b")
    site.warm(0.01, a=0.5, b=0.0)
    site.now_s = 0.1
    send = site.send()
    assert send.endpoint == "b"
    site.now_s = 0.11
    site.answer(send)
    site.now_s = 0.6
    assert site.send().endpoint == "a"


def test_work_on_its_way_counts(site_of):
    """Calls that the last report cannot have known of are not forgotten: no herding."""
    site = site_of("a", "b")
    site.warm(0.01, a=0.0, b=0.0)
    sent = [site.send().endpoint for _ in range(20)]
    assert sent.count("a") == sent.count("b") == 10


def test_full_endpoints_are_refused_with_a_time_to_come_back(site_of):
    """The bound holds for each endpoint; then callers are told when it pays to try again."""
    site = site_of("a", "b", max_outstanding=2)
    site.warm(0.5, a=0.0, b=0.0)
    sends = [site.send() for _ in range(4)]
    decision = site.decide()
    assert isinstance(decision, Refuse)
    assert decision.error.body().code == "queue_full"
    assert decision.error.detail["retry_after_s"] == pytest.approx(1.5, rel=0.01)
    site.now_s += 0.5
    site.answer(next(one for one in sends if one.endpoint == "b"), 0.5)
    assert site.send().endpoint == "b"


def test_calls_that_cannot_be_answered_in_time_are_refused(site_of):
    """A prediction must exceed the budget clearly; without a deadline nothing is refused for it."""
    site = site_of("a")
    site.warm(0.1, a=0.0)
    for _ in range(9):
        site.send()  # 0.9 s of work, and 0.1 s for one more
    tight = site.send(within_s=0.9)
    assert 0.05 < tight.chance < 0.5
    site.abandon(tight, overdue=False)
    decision = site.decide(within_s=0.6)
    assert isinstance(decision, Refuse)
    assert decision.error.body().code == "deadline_unattainable"
    assert decision.error.detail["predicted_ms"] == pytest.approx(1000, rel=0.01)
    assert decision.error.detail["budget_ms"] == pytest.approx(600)
    assert decision.error.detail["retry_after_s"] == pytest.approx(0.9, rel=0.01)
    assert (decision.variant, decision.work_s) == ("v", pytest.approx(0.1))
    assert isinstance(site.decide(), Send)


def test_one_slow_run_does_not_refuse_for_ever(site_of):
    """What is quiet gets a call against the prediction, and that brings better news."""
    site = site_of("a")
    site.warm(2.0, a=0.0)  # a first run, with everything cold
    tight_s = 0.05
    assert site.refuse(within_s=tight_s) == "deadline_unattainable"
    for _ in range(60):
        site.now_s += 0.1
        decision = site.decide(within_s=tight_s)
        if isinstance(decision, Send):
            break
    assert isinstance(decision, Send)
    for _ in range(10):
        site.now_s += 0.001
        site.answer(decision, 0.001)
        decision = site.send(within_s=10.0)
    site.now_s += 0.001
    site.answer(decision, 0.001)
    assert site.send(within_s=0.01).service_s < 0.01


def test_an_endpoint_that_says_nothing_is_avoided_until_it_speaks(site_of):
    """An overdue call counts against it, and not at all once it answers."""
    site = site_of("a", "b")
    first = site.send()
    assert first.endpoint == "a"
    site.now_s = 1.0
    site.abandon(first, overdue=True)
    assert [site.send().endpoint for _ in range(3)] == ["b", "b", "b"]
    site.now_s = 1.1
    site.answer(first, 0.001, queue_s=1.0, abandoned=True)  # it was slow, and is back
    assert site.send().endpoint == "a"


def test_a_new_endpoint_is_taken_for_what_its_siblings_are(site_of, make_function, make_variant):
    """What is not known of a replica is known of its function."""
    site = site_of("a")
    site.warm(1.0, a=0.0)
    site.send()
    site.deploy(make_function(make_variant("v", "a", "b")))
    site.connect("b")
    assert site.send().endpoint == "b"
    assert site.refuse(within_s=0.2) == "deadline_unattainable"


def test_a_new_revision_is_given_a_chance(site_of, make_function, make_variant):
    """What was learned of a slow revision is not held against the next one."""
    site = site_of("a")
    site.warm(1.0, a=0.0)
    site.deploy(make_function(make_variant("v", "b"), revision=2))
    site.connect("b")
    assert site.send(within_s=0.1).endpoint == "b"


def test_events_of_endpoints_that_are_gone_change_nothing(site_of):
    """Late news of removed replicas is ignored, and so is what comes twice."""
    site = site_of("a")
    lost = site.send()
    for event in (Disconnected("a"), Connected("ghost"), Disconnected("ghost"), Connected("a")):
        site.router.observe(0.0, event)
    site.now_s = 1.0
    site.answer(lost, 1.0)
    site.answer(lost, 1.0)
    for event in (Abandoned(lost, True), Failed(lost)):
        site.router.observe(1.0, event)
    assert site.send(within_s=0.1).predicted_s < 0.01


def test_a_change_of_the_table_forgets_no_work(site_of, make_function, make_variant):
    """What an endpoint holds still counts."""
    site = site_of("a", max_outstanding=1)
    send = site.send()
    site.deploy(make_function(make_variant("v", "a"), make_variant("w", accuracy=0.9)))
    assert isinstance(site.decide(), Wait | Refuse)
    site.answer(send)
    assert site.send().endpoint == "a"


def test_priorities_out_of_range_are_the_nearest(site_of, make_call):
    """A gateway checks them; the simulator need not."""
    site = site_of("a")
    assert isinstance(site.decide(make_call(priority=99)), Send)
    assert isinstance(site.decide(make_call(priority=-3)), Send)


def test_what_loses_its_calls_is_left_alone_for_a_while(site_of):
    """After five losses it gets nothing for a second, then one call to show what it can do."""
    site = site_of("a", "b")
    for _ in range(5):
        sends = [site.send(), site.send()]
        for one in sends:
            if one.endpoint == "a":
                site.router.observe(site.now_s, Failed(one))
            else:
                site.answer(one, 0.001)
    assert {site.send().endpoint for _ in range(5)} == {"b"}
    site.now_s = 1.2
    assert [site.send().endpoint for _ in range(3)].count("a") <= 1


def test_never_are_most_endpoints_left_alone(site_of):
    """Of two that fail one stays, and the only one always does."""
    site = site_of("a", "b")
    for _ in range(30):
        site.router.observe(site.now_s, Failed(site.send()))
    assert site.send().endpoint in ("a", "b")
    site = site_of("a")
    for _ in range(30):
        site.router.observe(site.now_s, Failed(site.send()))


def test_a_quiet_time_ends_all_refusals_by_priority(site_of, make_call):
    """Whoever calls after it is not refused for what was before."""
    site = site_of("a", each_s=0.01)
    site.abandon(site.send(within_s=1.0), overdue=False)
    admission = site.router._admission
    for _ in range(100):
        for priority in (1, 9):
            admission.arrived(priority)
            admission.refused(priority)
        admission.tick()
    assert site.refuse(make_call(priority=0), within_s=1.0) == "queue_full"
    site.now_s += 10.0
    assert isinstance(site.decide(make_call(priority=0), within_s=1.0), Send)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=20), st.floats(0.05, 2.0))
def test_refusals_end_when_endpoints_are_quiet(site_of, services_s, budget_s):
    """However slow the past was, a quiet minute makes any budget worth a try."""
    site = site_of("a")
    for service_s in services_s:
        send = site.send()
        site.now_s += service_s
        site.answer(send, service_s)
    site.now_s += 60.0
    assert isinstance(site.decide(within_s=budget_s), Send)
