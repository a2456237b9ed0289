"""Which of several candidates a call goes to."""

import pytest

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Refuse, Send, Wait
from edgefn.routing.events import Disconnected, Failed, LoadReported, ProbeAnswered, ProbeSent
from edgefn.routing.table import DeployedEndpoint, Place


@pytest.fixture
def chosen(make_site, make_function, make_variant):
    """A site with a fast variant and a better one that takes longer."""
    return make_site(
        make_function(
            make_variant("fast", "r1", accuracy=0.8, each_s=0.01),
            make_variant("good", "r2", accuracy=0.9, each_s=0.05),
            objective="accuracy",
        )
    )


def test_calls_go_where_they_ask_to(chosen, make_call):
    """By name or by accuracy; what cannot be is an error."""
    assert chosen.send(make_call(choice=Choice(variant="fast"))).endpoint == "r1"
    assert chosen.send(make_call(choice=Choice(min_accuracy=0.9))).endpoint == "r2"
    assert chosen.refuse(make_call(choice=Choice(variant="x"))) == "unknown_variant"
    assert chosen.refuse(make_call(choice=Choice(min_accuracy=1.0))) == "accuracy_unattainable"


def test_the_better_one_is_taken_if_it_is_in_time(chosen):
    """By the objective; a tight deadline leaves the fast one only."""
    assert chosen.send(within_s=1.0).variant == "good"
    assert chosen.send(within_s=0.03).variant == "fast"


def test_the_objective_says_what_counts(make_site, make_function, make_variant):
    """Latency takes the cheap one, accuracy the good one, energy the frugal one."""
    variants = (
        make_variant("cheap", "r1", accuracy=0.80, each_s=0.01, cost=1.0, energy_j=2.0),
        make_variant("good", "r2", accuracy=0.90, each_s=0.01, cost=9.0, energy_j=9.0),
        make_variant("frugal", "r3", accuracy=0.79, each_s=0.03, cost=9.0, energy_j=0.1),
    )
    for objective, name in (("latency", "cheap"), ("accuracy", "good"), ("energy", "frugal")):
        site = make_site(make_function(*variants, objective=objective))
        assert site.send(within_s=1.0).variant == name


def test_balanced_pays_for_accuracy_and_accuracy_whatever_it_costs(
    make_site, make_function, make_variant
):
    """Where all are in time; a dear step of a hundredth is not worth it to the balanced."""
    variants = (
        make_variant("cheap", "r1", accuracy=0.70, each_s=0.005, cost=1.0),
        make_variant("better", "r2", accuracy=0.85, each_s=0.01, cost=5.0),
        make_variant("best", "r3", accuracy=0.86, each_s=0.03, cost=10.0),
    )
    chosen = {"latency": "cheap", "balanced": "better", "accuracy": "best"}
    for objective, name in chosen.items():
        site = make_site(make_function(*variants, objective=objective))
        assert site.send(within_s=1.0).variant == name


def test_accuracy_yields_to_the_deadline(make_site, make_function, make_variant):
    """The best answer that comes too late is worth nothing, under any objective."""
    variants = (
        make_variant("quick", "r1", accuracy=0.70, each_s=0.005),
        make_variant("best", "r2", accuracy=0.95, each_s=0.08),
    )
    for objective in ("balanced", "accuracy", "energy"):
        site = make_site(make_function(*variants, objective=objective))
        assert site.send(within_s=0.05).variant == "quick"


@pytest.mark.parametrize("measured", [True, False])
def test_energy_takes_the_least_joules_of_those_in_time(
    make_site, make_function, make_variant, measured
):
    """As they were measured, or else by the work; the cost plays no part."""
    joules = {"frugal": 0.2, "middle": 0.6, "hungry": 2.0} if measured else {}
    times_s = {"frugal": 0.01, "middle": 0.03, "hungry": 0.06}
    if measured:  # what takes least is the slowest
        times_s = {"frugal": 0.06, "middle": 0.03, "hungry": 0.01}
    variants = [
        make_variant(
            name, name, accuracy=0.8, each_s=each_s, energy_j=joules.get(name, 0.0),
            cost=9.0 if name == "frugal" else 1.0,
        )
        for name, each_s in times_s.items()
    ]  # fmt: skip
    site = make_site(make_function(*variants, objective="energy"))
    assert site.send(within_s=1.0).variant == "frugal"
    tight = make_site(make_function(*variants, objective="energy"))
    assert tight.send(within_s=0.05).variant == ("middle" if measured else "frugal")


def test_without_a_deadline_the_wait_decides(make_site, make_function, make_variant):
    """The default is preferred, until it makes calls wait."""
    variants = (make_variant(name, name[0], accuracy=0.9, each_s=0.02) for name in ("one", "two"))
    site = make_site(make_function(*variants))
    assert [site.send().variant for _ in range(4)] == ["one", "two", "one", "two"]


def test_one_variants_trouble_is_not_the_others(make_site, make_function, make_variant, make_call):
    """Calls that name none go to any that is served; those that do are told why not."""
    site = make_site(
        make_function(
            make_variant("broken", "r1", quarantined="it dies"),
            make_variant("foreign", unavailable="it needs LiteRT"),
            make_variant("good", "r2"),
        )
    )
    assert site.send().endpoint == "r2"
    assert site.refuse(make_call(choice=Choice(variant="broken"))) == "quarantined"
    refused = site.decide(make_call(choice=Choice(variant="foreign")))
    assert isinstance(refused, Refuse)
    assert refused.error.body().code == "variant_unavailable"
    assert "it needs LiteRT" in refused.error.message


def test_a_variant_without_a_replica_is_waited_for(
    make_site, make_function, make_variant, make_call
):
    """Only by those who need it; its own start time says whether it pays."""
    fast, slow = make_variant("fast", "r1"), make_variant("slow", load_s=10.0, accuracy=0.9)
    site = make_site(make_function(fast, slow))
    needs = make_call(choice=Choice(variant="slow"))
    assert site.decide(needs) == Wait(variant="slow", work_s=0.001)
    refused = site.decide(needs, within_s=1.0)
    assert isinstance(refused, Refuse) and refused.wake == "slow"
    assert site.send().variant == "fast"
    assert site.send(within_s=30.0).variant == "fast"


def test_a_cold_start_is_weighed_against_a_long_queue(make_site, make_function, make_variant):
    """A variant that loads in time is better than one that is late for sure."""
    busy, cold = make_variant("busy", "r1", each_s=0.5), make_variant("cold", load_s=0.1)
    site = make_site(make_function(busy, cold))
    assert site.send(within_s=0.8).variant == "busy"
    assert site.decide(within_s=0.8) == Wait(variant="cold", work_s=0.001)


def test_the_floor_of_accuracy_is_hard(make_site, make_function, make_variant, make_call):
    """What is below it answers only if the function says so, and nothing above it can in time."""
    low = make_variant("low", "r1", accuracy=0.6, each_s=0.01)
    high = make_variant("high", "r2", accuracy=0.9, each_s=0.2)
    hard = make_site(make_function(low, high, min_accuracy=0.7))
    soft = make_site(make_function(low, high, min_accuracy=0.7, degrade=True))
    for site in (hard, soft):
        assert site.send(within_s=1.0).variant == "high"
    assert hard.refuse(within_s=0.1) == "deadline_unattainable"
    send = soft.send(within_s=0.1)
    assert (send.variant, send.degraded) == ("low", True)
    named = make_call(choice=Choice(variant="low"))
    assert hard.refuse(named) == "accuracy_unattainable"


def test_tiers_are_taken_in_the_functions_order(two_tiers):
    """The preferred one if it fits, else another; one that is not listed never."""
    assert two_tiers().send(within_s=0.5).endpoint == "there"
    assert two_tiers(tiers=("edge", "cloud")).send(within_s=0.5).endpoint == "here"
    assert two_tiers(tiers=("edge",)).send().endpoint == "here"
    only = two_tiers(tiers=("cloud",))
    assert only.send().endpoint == "there"
    only.router.observe(0.0, Disconnected("there"))
    assert only.refuse() == "variant_unavailable"


def test_tiers_hold_without_a_deadline_too(two_tiers):
    """The way to the preferred one is no reason to stay; that it does not answer is."""
    site = two_tiers()
    for number in range(8):
        _probe(site, 0.06, number)
    assert site.send().endpoint == "there"
    site.router.observe(site.now_s, LoadReported("there", 1.0, 1))
    assert site.send().endpoint == "here"
    assert two_tiers(tiers=("edge", "cloud")).send().endpoint == "here"


def test_a_call_that_leaves_its_first_tier_has_a_replica_started_there(two_tiers):
    """For those who call next; not if one runs, and not if the other tier is the first."""
    cold = {"tiers": ("edge", "cloud"), "load_s": 1.0}
    site = two_tiers(**cold)
    assert site.send(within_s=0.5).wake == ""
    site.router.observe(0.0, Disconnected("here"))
    send = site.send(within_s=0.5)
    assert (send.endpoint, send.wake) == ("there", "v")
    other = two_tiers(load_s=1.0)
    other.router.observe(0.0, Disconnected("here"))
    send = other.send(within_s=0.5)
    assert (send.endpoint, send.wake) == ("there", "")


@pytest.mark.parametrize("objective", ["latency", "balanced"])
def test_no_tier_is_left_for_microseconds_of_work(
    make_site, make_function, make_variant, objective
):
    """The variant of this box takes four times as long as the cloud's: 22 us more."""
    site = make_site()
    site.places = (Place(), Place(name="cloud", tier="cloud"))
    there = DeployedEndpoint(name="there", place="cloud", server="cloud")
    quick = make_variant("quick", each_s=8e-6, accuracy=0.97, more=(there,))
    ours = make_variant("ours", "here", each_s=30e-6, accuracy=0.97)
    site.deploy(make_function(quick, ours, objective=objective))
    site.connect()
    assert site.send(within_s=0.2).endpoint == "here"


def test_a_function_without_a_place_in_its_tiers_runs_here(make_site, make_function, make_variant):
    """A lone box serves what is deployed to it."""
    site = make_site(make_function(make_variant("v", "a"), tiers=("cloud",)))
    assert site.send().endpoint == "a"


def test_what_was_forwarded_stays_here(two_tiers, make_call):
    """Calls do not go in circles."""
    site = two_tiers()
    assert site.send(make_call(hops=1), within_s=0.5).endpoint == "here"


def _probe(site, network_s, number):
    size_bytes = 64 if number % 2 else 32_000
    site.router.observe(site.now_s, ProbeSent("cloud"))
    site.now_s += network_s
    site.router.observe(site.now_s, ProbeAnswered("cloud", network_s, size_bytes))
    site.now_s += 0.25 - network_s


def _call(site, network_s):
    """Makes a call every 10 ms; `network_s` is what the cloud costs. Returns where it went."""
    send = site.send(within_s=0.08)
    site.now_s += 0.005 + (network_s if send.place else 0.0)
    site.answer(send, 0.005)
    site.now_s += 0.005
    return send.endpoint


def test_a_slower_link_turns_calls_to_the_edge_and_back(two_tiers):
    """80 ms more flip the choice within 20 calls; when they are gone it flips back in a second."""
    site = two_tiers()
    for number in range(8):
        _probe(site, 0.02, number)
    assert [_call(site, 0.02) for _ in range(40)][-20:] == ["there"] * 20
    slow = [_call(site, 0.10) for _ in range(30)]
    assert "there" not in slow[20:]
    for number in range(8):
        _probe(site, 0.10, number)
    assert {_call(site, 0.10) for _ in range(10)} == {"here"}
    for number in range(8):
        _probe(site, 0.02, number)
    assert {_call(site, 0.02) for _ in range(20)} == {"there"}


def test_a_path_that_says_nothing_is_left(two_tiers):
    """An overdue call is evidence before it is lost; unanswered probes end the use of a place."""
    site = two_tiers()
    for number in range(8):
        _probe(site, 0.02, number)
    assert site.send(within_s=0.08).endpoint == "there"
    site.now_s += 0.07
    assert site.send(within_s=0.08).endpoint == "here"
    site.router.observe(site.now_s, ProbeSent("cloud"))
    site.now_s += 1.1
    assert site.send().endpoint == "here"
    site.router.observe(0.0, Disconnected("here"))
    assert isinstance(site.decide(), Wait)
    site.router.observe(site.now_s, ProbeAnswered("cloud", 0.02, 64))
    assert site.send().endpoint == "there"


def test_a_peers_report_counts_and_its_replicas(two_tiers):
    """A backlog there is avoided; without a replica its start is one more leg."""
    site = two_tiers()
    for number in range(8):
        _probe(site, 0.02, number)
    site.router.observe(site.now_s, LoadReported("there", 1.0, 1))
    assert site.send(within_s=0.5).endpoint == "here"
    site.router.observe(site.now_s, LoadReported("there", 0.0, 1))
    assert site.send(within_s=0.5).endpoint == "there"
    site.router.observe(site.now_s, LoadReported("there", 0.0, 0))
    assert site.send(within_s=0.5).endpoint == "here"


def test_variants_stay_at_home_on_shared_servers(make_site, make_function, make_variant):
    """Equal servers do not take turns: each variant has one that it prefers."""
    site = make_site()
    homes = {}
    names = [f"v{number}" for number in range(8)]
    for name in names:
        served = [DeployedEndpoint(name=f"{name}@{box}", server=box) for box in ("a", "b", "c")]
        site.deploy(make_function(make_variant(name, more=tuple(served), each_s=0.001)))
        site.connect()
        send = site.send(within_s=1.0)
        homes[name] = send.endpoint.split("@")[1]
        site.now_s += 0.01
        site.answer(send, 0.001)
    assert len(set(homes.values())) > 1


def test_dear_work_is_left_to_those_who_need_it(make_site, make_function, make_variant):
    """A place that is asked for more than it can do has a price, and it goes down again."""
    site = make_site()
    site.places = (Place(), Place(name="cloud", tier="cloud"))
    there = DeployedEndpoint(name="there", place="cloud")
    site.deploy(make_function(make_variant("v", "a", each_s=0.02, more=(there,))))
    site.connect()
    places = []
    for _ in range(400):
        send = site.send(within_s=10.0)
        places.append(send.place)
        site.now_s += 0.01
        site.answer(send, 0.02, queue_s=0.0)
    assert places[:5] == [""] * 5
    assert "cloud" in places[20:]


def test_a_call_that_is_late_there_is_copied_here(two_tiers, make_call):
    """At the last moment, if the function may run twice, and while this box has time for it."""
    site = two_tiers()
    for number in range(8):
        _probe(site, 0.02, number)
    call = make_call()
    first = site.send(call, within_s=0.08)
    assert first.sent_s < first.hedge_at_s < first.deadline_s - 0.005 - 0.05 * 0.08
    site.now_s = first.hedge_at_s
    hedge = site.router.hedge(site.now_s, call, first, lambda: 0.5)
    assert hedge is not None
    assert (hedge.endpoint, hedge.purpose) == ("here", "hedge")
    once = two_tiers(idempotent=False)
    assert once.send(within_s=0.08).hedge_at_s == float("inf")


def test_hedges_and_retries_are_bounded(two_tiers, make_call):
    """A bucket of tokens holds ten; then only a tenth of the calls may be sent twice."""
    site = two_tiers()
    call = make_call()
    first = site.send(call, within_s=1.0)
    site.now_s = 0.9
    hedges = [site.router.hedge(site.now_s, call, first, lambda: 0.5) for _ in range(20)]
    assert sum(one is not None for one in hedges) == 10
    site.router.observe(site.now_s, Failed(first))
    call = make_call()
    retries = [site.router.retry(site.now_s, call, first, lambda: 0.5) for _ in range(20)]
    assert sum(one is not None for one in retries) == 10
    assert {one.endpoint for one in retries if one} == {"here"}
    assert {one.purpose for one in retries if one} == {"retry"}


def test_a_doubtful_answer_goes_to_a_better_variant(chosen, make_call):
    """If there is one, and time for it."""
    call = make_call(deadline_s=1.0)
    doubtful = chosen.send(make_call(choice=Choice(variant="fast")))
    better = chosen.router.escalate(0.01, call, doubtful, lambda: 0.5)
    assert isinstance(better, Send)
    assert (better.variant, better.purpose) == ("good", "escalation")
    assert chosen.router.escalate(0.01, call, better, lambda: 0.5) is None
    assert chosen.router.escalate(0.99, call, doubtful, lambda: 0.5) is None
