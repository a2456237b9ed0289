"""What is to be done, by what is wanted, what there is, and what failed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.box.following.plan import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LONGEST_WAIT_S,
    Deployed,
    failed,
    plan,
)
from edgefn.desired.state import DesiredFunction


def wanted(name, digest="d1", revision=1):
    return DesiredFunction(name=name, revision=revision, digest=digest, manifest=msgspec.Raw(b"{}"))


def test_what_is_missing_or_another_bundle_is_brought_and_nothing_else():
    """In the order of names."""
    deployed = {"b": Deployed(digest="d0"), "c": Deployed(digest="d1")}
    todo = plan(0.0, map(wanted, "cba"), deployed, {}, {})
    assert [one.name for one in todo.bring] == ["a", "b"]
    assert (todo.drop, todo.again_s) == ((), None)


def test_only_what_the_hub_brought_is_removed():
    """What was deployed here before the box joined stays."""
    deployed = {"own": Deployed(digest="d"), "old": Deployed(digest="d")}
    assert plan(0.0, [], deployed, {"old": 1, "never-came": 0}, {}).drop == ("never-came", "old")


def test_what_is_there_as_it_is_wanted_becomes_the_hubs():
    """Whoever deployed it; so it goes when the hub removes it."""
    deployed = {name: Deployed(digest="d1") for name in "ab"}
    todo = plan(0.0, map(wanted, "ab"), deployed, {"b": 1}, {})
    assert ([one.name for one in todo.adopt], todo.bring) == (["a"], ())


def test_damaged_files_are_fetched_again():
    """The digest alone does not say that a function can be served."""
    damaged = {"a": Deployed(digest="d1", is_damaged=True)}
    assert plan(0.0, [wanted("a")], damaged, {"a": 1}, {}).bring == (wanted("a"),)


@pytest.mark.parametrize(("revision", "count"), [(4, 0), (5, 1)])
def test_a_quarantine_ends_when_the_hub_deploys_the_same_bundle_again(revision, count):
    """As it does on a lone box, and not before."""
    deployed = {"a": Deployed(digest="d1", is_quarantined=True)}
    todo = plan(0.0, [wanted("a", revision=revision)], deployed, {"a": 4}, {})
    assert len(todo.bring) == count


def test_a_failure_is_tried_again_later_and_another_bundle_at_once():
    """And one that failed before comes after those that did not."""
    failure = failed(100.0, wanted("a"), "no", None, is_waiting=False)
    before = plan(100.0, map(wanted, "ab"), {}, {}, {"a": failure})
    assert [one.name for one in before.bring] == ["b"]
    assert before.again_s == 100.0 + FIRST_PAUSE_S
    after = plan(before.again_s, map(wanted, "ab"), {}, {}, {"a": failure})
    assert [one.name for one in after.bring] == ["b", "a"]
    for other in (wanted("a", "d2"), wanted("a", revision=2)):
        assert plan(100.0, [other], {}, {}, {"a": failure}).bring == (other,)


@given(waits=st.lists(st.booleans(), min_size=1, max_size=30))
def test_pauses_grow_up_to_a_limit_and_begin_anew_with_another_kind(waits):
    """However failures and cut transfers follow each other."""
    now_s, failure, pauses = 0.0, None, []
    for is_waiting in waits:
        failure = failed(now_s, wanted("a"), "no", failure, is_waiting=is_waiting)
        pauses.append(failure.again_s - now_s)
        assert 0.0 < pauses[-1] <= (LONGEST_WAIT_S if is_waiting else LONGEST_PAUSE_S)
        now_s = failure.again_s
    for before, after, same in zip(
        pauses, pauses[1:], map(bool.__eq__, waits, waits[1:]), strict=False
    ):
        assert not same or after >= before - 1e-9
