"""From pools to applications of Serve."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edgefn.fleet.applications import change, name_of, options_of
from edgefn_runtime.leasing import Pool

POOL = Pool(function="voice", variant="int8", tier="edge", site="plant-1", count=2)
NAMES = st.sampled_from(["voice", "monitor-2", "a_b"])
POOLS = st.builds(
    Pool,
    function=NAMES,
    variant=NAMES,
    tier=st.sampled_from(["edge", "cloud"]),
    site=st.sampled_from(["", "plant.1"]),
    count=st.integers(0, 3),
    max_per_box=st.sampled_from([1, 100]),
)
UNIQUE = st.lists(POOLS, unique_by=name_of)


def test_a_count_is_no_part_of_a_name():
    """Two counts of a pool are one application, scaled; another limit a box is another one."""
    assert name_of(POOL) == name_of(msgspec.structs.replace(POOL, count=9))
    assert name_of(POOL) != name_of(msgspec.structs.replace(POOL, max_per_box=1))


def test_a_pool_asks_for_its_site_and_falls_back_to_its_tier():
    """The site is asked for first; a tier without sites needs no fallback."""
    actor = options_of(POOL)["ray_actor_options"]
    assert actor["label_selector"] == {"tier": "edge", "site": "plant-1"}
    assert actor["fallback_strategy"] == [{"label_selector": {"tier": "edge"}}]
    nowhere = options_of(msgspec.structs.replace(POOL, site=""))["ray_actor_options"]
    assert nowhere["label_selector"] == {"tier": "edge"}
    assert "fallback_strategy" not in nowhere


def test_what_others_serve_is_left_alone():
    """An application that no fleet made is neither scaled nor deleted."""
    todo = change([], {"theirs": False, "edgefn-but-not-ours": False})
    assert todo.delete == ()


def test_what_failed_for_good_is_deployed_again():
    """Serve does not try again by itself what failed too often at first."""
    todo = change([POOL], {name_of(POOL): True})
    assert (todo.deploy, todo.scale, todo.delete) == ((POOL,), (), ())


def test_a_pool_of_none_is_kept_but_not_made():
    """An application without replicas stays where it is, since Serve starts none without one."""
    none = msgspec.structs.replace(POOL, count=0)
    assert change([none], {}).deploy == ()
    assert change([none], {name_of(none): False}).scale == (none,)


@given(UNIQUE, UNIQUE)
def test_a_change_leads_to_what_is_wanted(before, after):
    """Whatever there was, what is there afterwards is what is wanted, and of at least one."""
    there = {name_of(pool): False for pool in before}
    todo = change(after, there)
    kept = there.keys() - set(todo.delete)
    assert kept | {name_of(pool) for pool in todo.deploy} == {
        name_of(pool) for pool in after if pool.count or name_of(pool) in there
    }
    assert {name_of(pool) for pool in todo.scale} == kept
    assert all(pool.count for pool in todo.deploy)
