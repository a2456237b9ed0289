"""Filling capacity with shares of calls."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.simulate.baselines.fractions import Choice, plan

SMALL = Choice(group=("small", "here"), pool="here", work_s=0.01, accuracy=0.7)
LARGE = Choice(group=("large", "here"), pool="here", work_s=0.04, accuracy=0.8)
FAR = Choice(group=("large", "far"), pool="far", work_s=0.04, accuracy=0.8)


def test_gives_all_the_best_where_there_is_room() -> None:
    """The cheap variant is only for need."""
    shares = plan({"f": 10.0}, {"f": [SMALL, LARGE]}, {"here": 1.0})
    assert shares["f"][LARGE.group] == 1.0


def test_upgrades_until_the_capacity_is_used() -> None:
    """50 calls of 0.01 s leave half; an upgrade of one call takes 0.03 s more: a third of them."""
    shares = plan({"f": 50.0}, {"f": [SMALL, LARGE]}, {"here": 1.0})
    assert abs(shares["f"][LARGE.group] - 1 / 3) < 1e-9


def test_takes_from_another_pool_what_one_has_no_room_for() -> None:
    """And leaves where it is what no pool has room for."""
    shares = plan({"f": 150.0}, {"f": [SMALL, FAR]}, {"here": 1.0, "far": 1.0})
    assert abs(shares["f"][FAR.group] - 25 / 150) < 1e-9
    assert abs(shares["f"][SMALL.group] - 125 / 150) < 1e-9


@given(
    st.lists(st.floats(0.0, 500.0), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["here", "far"]), st.floats(1e-3, 0.1), st.floats(0.1, 1.0)),
        min_size=1,
        max_size=4,
    ),
)
def test_shares_are_shares_and_capacities_are_kept(
    rates: list[float], kinds: list[tuple[str, float, float]]
) -> None:
    """They sum to one; no pool is planned above its capacity unless all demand does not fit."""
    choices = [
        Choice(group=(str(number), pool), pool=pool, work_s=work_s, accuracy=accuracy)
        for number, (pool, work_s, accuracy) in enumerate(kinds)
    ]
    asked = {str(number): rate for number, rate in enumerate(rates)}
    capacities = {"here": 1.0, "far": 2.0}
    shares = plan(asked, dict.fromkeys(asked, choices), capacities)
    used = dict.fromkeys(capacities, 0.0)
    for function, mine in shares.items():
        assert abs(sum(mine.values()) - 1.0) < 1e-6
        assert all(share >= 0.0 for share in mine.values())
        for choice in choices:
            used[choice.pool] += asked[function] * mine.get(choice.group, 0.0) * choice.work_s
    least_work = min(choice.work_s for choice in choices)
    if sum(rates) * max(choice.work_s for choice in choices) <= 1.0 and least_work:
        assert all(used[pool] <= capacities[pool] + 1e-4 for pool in capacities)
