"""Which replicas stay when memory is short."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.scaling.memory import Resident, fit


def resident(**changes: float) -> Resident:
    usual = {"count": 1, "kept": 0, "memory_bytes": 10_000_000, "calls": 5.0, "hurt": 0.5}
    return Resident(**(usual | changes))  # type: ignore[arg-type]


def test_what_is_least_worth_its_memory_goes_first() -> None:
    """Who is hardly called, starts fast enough for its callers, or is large."""
    usual = resident()
    for worse in (resident(calls=1.0), resident(hurt=0.1), resident(memory_bytes=20_000_000)):
        assert fit([usual, worse], 15_000_000) == [1, 0]
        assert fit([worse, usual], 15_000_000) == [0, 1]


def test_the_last_of_many_goes_before_the_only_one() -> None:
    """However worthy: another of the same saves less than the first."""
    assert fit([resident(count=4, calls=9.0), resident(calls=5.0)], 30_000_000) == [2, 1]


def test_what_must_stay_stays() -> None:
    """Even if all together have more than there is; and so does what nobody has measured."""
    assert fit([resident(count=2, kept=2), resident(memory_bytes=0)], 1) == [2, 1]


residents = st.builds(
    resident,
    count=st.integers(0, 5),
    kept=st.integers(0, 2),
    memory_bytes=st.integers(0, 50_000_000),
    calls=st.floats(0.0, 1e4),
    hurt=st.floats(0.0, 1.0),
)


@settings(max_examples=50)
@given(st.lists(residents, max_size=6), st.integers(0, 300_000_000))
def test_nothing_goes_without_need(all_: list[Resident], memory_bytes: int) -> None:
    """They fit, or only what must stay is left; and nothing went that would have fitted."""
    counts = fit(all_, memory_bytes)
    used = sum(count * each.memory_bytes for count, each in zip(counts, all_, strict=True))
    for count, each in zip(counts, all_, strict=True):
        assert min(each.count, each.kept) <= count <= each.count
    left = [each for count, each in zip(counts, all_, strict=True) if count > each.kept]
    assert used <= memory_bytes or all(not each.memory_bytes for each in left)
    if sum(each.count * each.memory_bytes for each in all_) <= memory_bytes:
        assert counts == [each.count for each in all_]
