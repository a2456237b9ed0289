"""What each baseline chooses."""

from dataclasses import dataclass, field
from itertools import count
from math import inf
from random import Random

import pytest

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Refuse, Send, Wait
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Failed,
    TableChanged,
)
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.baselines.baseline import Baseline
from edgefn.simulate.baselines.hedge_p95 import HedgeP95
from edgefn.simulate.baselines.ray_serve import MAX_ONGOING_REQUESTS

PLACES = (Place(), Place(name="near"), Place(name="cloud", tier="cloud"))
VARIANTS = {  # accuracy, fixed_s, each_s, cost, places
    "int8": (0.7, 0.002, 0.010, 0.05, ("box-1", "box-2", "near")),
    "fp32": (0.76, 0.004, 0.034, 0.17, ("box-1", "box-2", "near")),
    "big": (0.8, 0.005, 0.001, 0.60, ("cloud",)),
}


@dataclass
class Call:
    function: str = "f"
    deadline_s: float | None = 0.1
    size_bytes: int = 1000
    priority: int = 5
    hops: int = 0
    idempotent: bool = True
    choice: Choice | None = None


@dataclass
class Truth:
    """An oracle that is told what is true."""

    waits_s: dict[str, float] = field(default_factory=dict)
    networks_s: dict[str, float] = field(default_factory=lambda: {"cloud": 0.03, "near": 0.012})
    calls: dict[str, int] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)

    def backlog_s(self, now_s: float, server: str) -> float:
        return self.waits_s.get(server, 0.0)

    def held(self, now_s: float, server: str) -> int:
        return self.calls.get(server, 0)

    def speed(self, now_s: float, server: str) -> float:
        return self.speeds.get(server, 1.0)

    def network_s(self, now_s: float, site: str, place: str, size_bytes: float) -> float:
        return self.networks_s.get(place, 0.002)


def table(**settings: object) -> TableChanged:
    variants = tuple(
        DeployedVariant(
            name=name,
            accuracy=accuracy,
            fixed_s=fixed_s,
            each_s=each_s,
            cost=cost,
            endpoints=tuple(
                DeployedEndpoint(
                    name=f"{name}@{server}",
                    place=server if server in ("near", "cloud") else "",
                    server=server,
                )
                for server in servers
            ),
        )
        for name, (accuracy, fixed_s, each_s, cost, servers) in VARIANTS.items()
    )
    deployment = Deployment(
        name="f", revision=1, variants=variants, default="int8", **{"min_accuracy": 0.6} | settings
    )
    return TableChanged((deployment,), PLACES)


def policy(name: str, oracle: Truth | None = None, **settings: object) -> Baseline:
    made = POLICIES[name]("here", oracle or Truth())
    assert isinstance(made, Baseline)
    changed = table(**settings)
    made.observe(0.0, changed)
    for variant in changed.deployments[0].variants:
        for endpoint in variant.endpoints:
            made.observe(0.0, Connected(endpoint.name))
    made.table.paths["cloud"].learn(0.03)
    made.table.paths["near"].learn(0.012)
    return made


def sent(policy: Baseline, now_s: float = 0.0, seed: int = 0, **call: object) -> Send:
    decision = policy.decide(now_s, Call(**call), Random(seed).random)
    assert isinstance(decision, Send)
    return decision


def answered(send: Send, *, backlog_s: float = 0.0, queue_s: float = 0.0) -> Answered:
    return Answered(
        send=send, queue_s=queue_s, service_s=send.service_s, backlog_s=backlog_s, batch=1
    )


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_sends_each_call_where_it_may_go_and_counts_it_until_it_is_answered(name: str) -> None:
    """Every baseline keeps to the table and to the floor, and its ledger returns to zero."""
    made = policy(name, min_accuracy=0.72)
    rng = Random(1).random
    sends = []
    for number in range(60):
        decision = made.decide(number / 100, Call(deadline_s=number / 100 + 0.1), rng)
        assert isinstance(decision, Send)
        assert decision.endpoint.split("@")[0] in ("fp32", "big")
        sends.append(decision)
    assert sum(server.calls for server in made.table.servers.values()) == 60
    for send, number in zip(sends, count(), strict=False):
        made.observe(1.0, (answered(send), Failed(send), Abandoned(send, overdue=True))[number % 3])
        made.observe(1.0, answered(send))  # a late answer is not counted twice
    assert {server.calls for server in made.table.servers.values()} == {0}
    assert {server.work_s for server in made.table.servers.values()} == {0.0}


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_answers_what_was_forwarded_here_with_the_variant_asked_for(name: str) -> None:
    """A call with a hop behind it stays on this site."""
    made = policy(name)
    for seed in range(20):
        send = sent(made, seed=seed, hops=1, choice=Choice(variant="fp32"))
        assert send.endpoint in ("fp32@box-1", "fp32@box-2")


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_waits_without_an_endpoint_and_refuses_without_a_function(name: str) -> None:
    """A baseline under the scaler has replicas started; what is not deployed is refused."""
    made = policy(name)
    for option in list(made.table.options("f")):
        made.observe(0.0, Disconnected(option.name))
    assert made.decide(0.0, Call(), Random(0).random) == Wait(variant="int8")
    assert isinstance(made.decide(0.0, Call(function="g"), Random(0).random), Refuse)


def test_keeps_what_it_knows_when_the_table_changes() -> None:
    """Endpoints that stay are still connected, and their calls still counted."""
    made = policy("least_outstanding")
    send = sent(made)
    made.observe(0.0, table(idempotent=True))
    assert len(made.table.options("f")) == 7
    assert made.table.servers["box-1"].calls == 1
    made.observe(0.1, answered(send))
    assert made.table.servers["box-1"].calls == 0


def test_round_robin_takes_turns() -> None:
    """Whatever they hold."""
    made = policy("round_robin")
    assert [sent(made).endpoint for _ in range(3)] == ["int8@box-1", "int8@box-2", "int8@box-1"]


def test_least_outstanding_goes_to_the_one_with_fewer_calls() -> None:
    """Answers make room."""
    made = policy("least_outstanding")
    first = sent(made)
    assert (first.endpoint, sent(made).endpoint) == ("int8@box-1", "int8@box-2")
    made.observe(0.1, answered(first))
    assert sent(made).endpoint == "int8@box-1"


def test_two_choices_draw_different_ones_and_take_the_less_busy() -> None:
    """With two replicas both are always drawn, so that they fill up evenly."""
    made = policy("two_choices")
    for seed in range(10):
        sent(made, seed=seed)
    assert {made.table.servers[name].calls for name in ("box-1", "box-2")} == {5}


def test_mixed_two_choices_use_every_variant() -> None:
    """It knows no cost and no accuracy."""
    made = policy("two_choices_mixed")
    rng = Random(0).random
    decisions = [made.decide(0.0, Call(), rng) for _ in range(200)]
    assert {one.variant for one in decisions if isinstance(one, Send)} == set(VARIANTS)


def test_ray_serve_leaves_its_node_only_when_that_is_full() -> None:
    """Others of the deployment take what the site's replicas have no room for."""
    made = policy("ray_serve")
    rng = Random(0).random
    near = [made.decide(0.0, Call(), rng) for _ in range(2 * MAX_ONGOING_REQUESTS)]
    assert {one.place for one in near if isinstance(one, Send)} == {""}
    more = [made.decide(0.0, Call(), rng) for _ in range(10)]
    assert "near" in {one.place for one in more if isinstance(one, Send)}
    assert {one.variant for one in more if isinstance(one, Send)} == {"int8"}


@pytest.mark.parametrize(
    ("name", "deadline_s", "variant"),
    [
        ("infaas_cheapest", 0.1, "int8"),
        ("infaas_accurate", 0.1, "big"),
        ("infaas_accurate", 0.035, "int8"),  # the cloud is too far, fp32 too slow
    ],
)
def test_infaas_takes_the_first_in_rank_that_is_in_time(
    name: str, deadline_s: float, variant: str
) -> None:
    """By cost or by accuracy."""
    assert sent(policy(name), deadline_s=deadline_s).variant == variant


def test_infaas_passes_over_what_is_loaded() -> None:
    """A report of a long queue sends the cheapest variant elsewhere, then the next dearer one."""
    made = policy("infaas_cheapest")
    for name in ("box-1", "box-2"):
        made.table.servers[name].report(0.0, 0.2)
    assert sent(made).endpoint == "int8@near"
    made.table.servers["near"].report(0.0, 0.2)
    assert sent(made).endpoint == "big@cloud"


@pytest.mark.parametrize("name", ["infaas_accurate", "infaas_cheapest"])
def test_infaas_sends_what_cannot_be_in_time_to_the_soonest(name: str) -> None:
    """They do not refuse."""
    assert sent(policy(name), deadline_s=0.001).variant == "int8"


def test_prequal_takes_the_one_of_least_latency_unless_it_is_hot() -> None:
    """More requests in flight than at most others weigh more than any latency."""
    chosen = {}
    for held in (0, 50):
        truth = Truth(waits_s=dict.fromkeys(("box-1", "box-2", "near"), 0.1), calls={"cloud": held})
        made = policy("prequal", truth)
        rng = Random(3).random
        variants: list[str] = []
        for number in range(200):
            now_s = number / 50
            decision = made.decide(now_s, Call(deadline_s=now_s + 0.1), rng)
            assert isinstance(decision, Send)
            made.observe(now_s, Failed(decision))
            variants.append(decision.variant)
        chosen[held] = variants[20:].count("big") / 180
    assert chosen[0] > 0.3
    assert chosen[50] < 0.5 * chosen[0]


def test_hedges_when_a_call_takes_longer_than_most_do() -> None:
    """To another replica; once the usual time is known, about one call in twenty is that slow."""
    made = policy("hedge_p95")
    assert isinstance(made, HedgeP95)
    rng, now_s, slow = Random(5), 0.0, 0
    for number in range(4000):
        now_s += 1.0
        send = sent(made, now_s=now_s, deadline_s=now_s + 1.0)
        took_s = 0.01 * (1.0 + rng.random())
        slow += number >= 1000 and now_s + took_s > send.hedge_at_s
        made.observe(now_s + took_s, answered(send))
    assert 0.03 < slow / 3000 < 0.07
    first = sent(made, now_s=now_s, deadline_s=now_s + 1.0)
    second = made.hedge(now_s, Call(), first, rng.random)
    assert second is not None
    assert (second.purpose, second.place) == ("hedge", "")
    assert second.endpoint != first.endpoint


def test_perfect_knows_of_an_outage_that_no_answer_told_of() -> None:
    """And of a slow box."""
    truth = Truth(waits_s={"near": 0.5})
    made = policy("perfect", truth, objective="accuracy")
    assert sent(made).endpoint == "big@cloud"
    truth.networks_s["cloud"] = inf
    assert sent(made).variant == "fp32"
    truth.speeds["box-1"] = 0.1
    assert sent(made).endpoint == "fp32@box-2"


def test_proteus_upgrades_what_the_capacity_allows() -> None:
    """At a low rate all calls get the most accurate variant, at a high one most the cheapest."""
    shares = {}
    for rate in (2, 100):
        made = policy("proteus", tiers=("edge",))
        rng = Random(0).random
        variants = []
        for number in range(5 * rate):
            now_s = number / rate
            decision = made.decide(now_s, Call(deadline_s=now_s + 0.1), rng)
            assert isinstance(decision, Send)
            made.observe(now_s, answered(decision))
            variants.append(decision.variant)
        late = variants[-2 * rate :]
        shares[rate] = late.count("int8") / len(late)
    assert shares[2] == 0.0
    assert 0.5 < shares[100] < 1.0
