"""Which variant a call goes to, alone and in the router."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import AccuracyUnattainable, EdgefnError, UnknownVariant
from edgefn.routing.decisions import Refuse, Send, Wait
from edgefn.routing.events import Answered, Connected, Deployment, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.variants import Choice, DeployedVariant, choose

FAST = DeployedVariant(name="fast", accuracy=0.95)
GOOD = DeployedVariant(name="good", accuracy=0.99)
PLAIN = DeployedVariant(name="plain")
FOREIGN = DeployedVariant(name="foreign", accuracy=1.0, unavailable="it needs LiteRT")
BROKEN = DeployedVariant(name="broken", accuracy=0.97, quarantined="it dies")
ALL = (FAST, FOREIGN, BROKEN, GOOD, PLAIN)


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (Choice(), "fast"),
        (Choice(variant="plain"), "plain"),
        (Choice(variant="foreign"), "foreign"),
        (Choice(min_accuracy=0.9), "fast"),
        (Choice(min_accuracy=0.95), "fast"),
        (Choice(min_accuracy=0.96), "good"),
        (Choice(min_accuracy=0.999), "foreign"),
        (Choice(variant="good", min_accuracy=0.5), "good"),
    ],
)
def test_the_first_that_fits_is_chosen(choice: Choice, name: str) -> None:
    """In order of preference, one that can serve before one that cannot."""
    assert choose("f", ALL, choice).name == name


def test_an_unknown_variant_is_refused_with_the_known_ones() -> None:
    """Names are for people to choose from."""
    with pytest.raises(UnknownVariant, match="'nope'; it has fast, good"):
        choose("f", (FAST, GOOD), Choice(variant="nope"))


def test_an_accuracy_that_none_has_is_refused_with_the_best() -> None:
    """What was not measured never qualifies, whatever it may be."""
    with pytest.raises(AccuracyUnattainable, match="the best, good, of 'f' has 0.99") as caught:
        choose("f", (FAST, GOOD, PLAIN), Choice(min_accuracy=0.995))
    assert caught.value.detail == {"best": "good", "accuracy": 0.99}
    with pytest.raises(AccuracyUnattainable, match="no variant of 'f' was measured"):
        choose("f", (PLAIN,), Choice(min_accuracy=0.1))
    with pytest.raises(AccuracyUnattainable, match="variant 'plain' of 'f' was not measured"):
        choose("f", ALL, Choice(variant="plain", min_accuracy=0.1))


variants = st.builds(
    DeployedVariant,
    name=st.sampled_from("abcdef"),
    accuracy=st.none() | st.floats(0, 1),
    unavailable=st.sampled_from(["", "no engine"]),
    quarantined=st.sampled_from(["", "it dies"]),
)


@given(
    st.lists(variants, min_size=1, unique_by=lambda one: one.name),
    st.builds(Choice, variant=st.sampled_from(["", *"abc"]), min_accuracy=st.floats(0, 1)),
)
def test_what_is_chosen_is_as_asked_for(deployed: list[DeployedVariant], choice: Choice) -> None:
    """By name and by accuracy; and nothing that serves and fits is passed over."""
    try:
        chosen = choose("f", deployed, choice)
    except EdgefnError:
        chosen = None
    fit = [
        one
        for one in deployed
        if choice.variant in ("", one.name)
        and (not choice.min_accuracy or (one.accuracy or -1.0) >= choice.min_accuracy)
    ]
    serving = [one for one in fit if not (one.unavailable or one.quarantined)]
    assert chosen == next(iter([*serving, *fit]), None)


class Demand:
    """A call of `f` without a deadline."""

    function = "f"
    deadline_s = None

    def __init__(self, choice: Choice | None = None) -> None:
        self.choice = choice


def deploy(router: Router, *deployed: DeployedVariant, revision: int = 1) -> None:
    deployment = Deployment(
        name="f", revision=revision, variants=deployed, default=deployed[0].name
    )
    router.observe(0.0, TableChanged((deployment,)))


def code(decision: object) -> str:
    assert isinstance(decision, Refuse)
    return decision.error.body().code


def test_calls_go_to_the_endpoints_of_their_variant() -> None:
    """Those that ask for nothing to the default one's, however idle the others are."""
    router = Router(max_outstanding=2)
    fast, good = (
        DeployedVariant(name="fast", endpoints=("r1",)),
        DeployedVariant(name="good", endpoints=("r2",), accuracy=0.9),
    )
    deploy(router, fast, good)
    for name in ("r1", "r2"):
        router.observe(0.0, Connected(name))
    assert [router.decide(0.0, Demand()) for _ in range(2)] == [Send(endpoint="r1")] * 2
    assert code(router.decide(0.0, Demand())) == "queue_full"
    assert router.decide(0.0, Demand(Choice(variant="good"))) == Send(endpoint="r2")
    assert router.decide(0.0, Demand(Choice(min_accuracy=0.9))) == Send(endpoint="r2")
    assert code(router.decide(0.0, Demand(Choice(variant="x")))) == "unknown_variant"
    assert code(router.decide(0.0, Demand(Choice(min_accuracy=1.0)))) == "accuracy_unattainable"


def test_a_variant_without_a_replica_is_waited_for() -> None:
    """By its name, so that the right one is started; its own start time says whether it pays."""
    router = Router()
    slow = DeployedVariant(name="slow", load_s=10.0)
    deploy(router, DeployedVariant(name="fast", endpoints=("r1",)), slow)
    router.observe(0.0, Connected("r1"))
    call = Demand(Choice(variant="slow"))
    assert router.decide(0.0, call) == Wait(variant="slow")
    call.deadline_s = 1.0  # type: ignore[assignment]
    decision = router.decide(0.0, call)
    assert code(decision) == "deadline_unattainable"
    assert isinstance(decision, Refuse) and decision.wake == "slow"
    assert isinstance(router.decide(0.0, Demand()), Send)


def test_one_variants_trouble_is_not_the_others() -> None:
    """A quarantined default takes no calls; those that name another one are answered."""
    router = Router()
    broken = DeployedVariant(name="broken", endpoints=("r1",), quarantined="it dies")
    foreign = DeployedVariant(name="foreign", unavailable="it needs LiteRT")
    deploy(router, broken, foreign, DeployedVariant(name="good", endpoints=("r2",)))
    for name in ("r1", "r2"):
        router.observe(0.0, Connected(name))
    assert code(router.decide(0.0, Demand())) == "quarantined"
    refused = router.decide(0.0, Demand(Choice(variant="foreign")))
    assert code(refused) == "variant_unavailable"
    assert isinstance(refused, Refuse) and "it needs LiteRT" in refused.error.message
    assert router.decide(0.0, Demand(Choice(variant="good"))) == Send(endpoint="r2")


def test_a_change_of_routes_forgets_no_work() -> None:
    """What an endpoint holds still counts; a new revision begins to learn afresh."""
    router = Router(max_outstanding=1)
    fast = DeployedVariant(name="fast", endpoints=("r1",))
    deploy(router, fast)
    router.observe(0.0, Connected("r1"))
    assert isinstance(router.decide(0.0, Demand()), Send)
    deploy(router, fast, GOOD)
    assert code(router.decide(0.0, Demand())) == "queue_full"
    router.observe(0.0, Answered("r1", 0.01, 0.0, 1))
    deploy(router, GOOD, DeployedVariant(name="fast", endpoints=("r1", "r2")), revision=2)
    assert router.decide(0.0, Demand()) == Wait(variant="good")
    assert router.decide(0.0, Demand(Choice(variant="fast"))) == Send(endpoint="r1")
