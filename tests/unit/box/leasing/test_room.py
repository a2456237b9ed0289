"""Replicas that leases hold, and the memory that there is."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.box.leasing.room import Need, counts

KEYS = [("f", name) for name in "abcd"]
needs = st.builds(
    Need, wanted=st.integers(0, 5), floor=st.integers(0, 5), memory_bytes=st.integers(0, 100)
)


def test_the_higher_of_both_is_kept() -> None:
    """What the scaler wants, or what leases hold."""
    given_needs = {
        KEYS[0]: Need(wanted=3, floor=1, memory_bytes=10),
        KEYS[1]: Need(wanted=0, floor=2, memory_bytes=10),
    }
    assert counts(given_needs, 0) == {KEYS[0]: 3, KEYS[1]: 2}


def test_a_variant_of_which_the_size_is_not_known_fits() -> None:
    """As the scaler has it."""
    assert counts({KEYS[0]: Need(wanted=0, floor=2, memory_bytes=0)}, 1) == {KEYS[0]: 2}


def test_short_memory_is_shared() -> None:
    """Each variant gets a first one before any gets a second one."""
    given_needs = {key: Need(wanted=0, floor=2, memory_bytes=10) for key in KEYS[:2]}
    assert counts(given_needs, 30) == {KEYS[0]: 2, KEYS[1]: 1}


@given(st.lists(needs, max_size=4), st.integers(0, 1000))
def test_leases_never_take_more_than_there_is(given_needs: list[Need], memory_bytes: int) -> None:
    """Nothing is taken from the scaler, and what could still be held would not fit."""
    of = dict(zip(KEYS, given_needs, strict=False))
    found = counts(of, memory_bytes)
    used_bytes = sum(found[key] * need.memory_bytes for key, need in of.items())
    wanted_bytes = sum(need.wanted * need.memory_bytes for need in of.values())
    if memory_bytes:
        assert used_bytes <= max(memory_bytes, wanted_bytes)
    for key, need in of.items():
        assert need.wanted <= found[key] <= max(need.wanted, need.floor)
        if found[key] < need.floor:
            assert memory_bytes
            assert used_bytes + need.memory_bytes > memory_bytes
