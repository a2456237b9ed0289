"""Which variant a call asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import AccuracyUnattainable, EdgefnError, UnknownVariant
from edgefn.routing.choice import Choice, choose
from edgefn.routing.table import DeployedVariant

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
