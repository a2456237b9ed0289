"""Rates from two readings of a box's counts."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.cli.rates import quantile_ms, rates
from edgefn.client.counts import BoxCounts, FunctionCounts, SentCount

EDGES_S = (0.01, 0.1)
BEFORE = FunctionCounts(
    name="f", outcomes={200: 100}, variants={"a": 100}, latency_buckets=(100, 0, 0),
    queue_sum_s=1.0, service_sum_s=2.0,
)  # fmt: skip
NOW = FunctionCounts(
    name="f", outcomes={200: 180, 504: 10, 422: 10, 500: 10}, misses={"queue": 8, "refused": 2},
    variants={"a": 120, "b": 60}, latency_buckets=(140, 40, 0), queue_sum_s=1.8, service_sum_s=2.4,
    ongoing=3, replicas={"a": {"ready": 1}},
)  # fmt: skip


def reading(at_s: float, *functions: FunctionCounts) -> BoxCounts:
    """A box's counts."""
    return BoxCounts(box="b", tier="edge", at_s=at_s, latency_edges_s=EDGES_S, functions=functions)


def test_what_came_between_two_readings_counts() -> None:
    """A caller's own mistakes are calls, but neither in time nor late."""
    (measured,) = rates(reading(10.0, BEFORE), reading(12.0, NOW)).functions
    assert measured.calls_per_s == 55.0
    assert measured.attainment == pytest.approx(0.9)
    assert measured.errors_per_s == 10.0
    assert measured.misses_per_s == {"queue": 4.0, "refused": 1.0}
    assert measured.variants == {"a": 0.25, "b": 0.75}
    assert (measured.queue_ms, measured.run_ms) == (pytest.approx(10.0), pytest.approx(5.0))
    assert (measured.p50_ms, measured.p99_ms) == (pytest.approx(10.0), pytest.approx(98.2))
    assert (measured.ongoing, measured.replicas) == (3, {"a": {"ready": 1}})


def test_sendings_tell_where_calls_went_and_how_often_once_more() -> None:
    """A peer's variant bears its name; hedges, retries and escalations are told apart."""

    def sent(*counts: int) -> FunctionCounts:
        keys = (("a", "", "first"), ("a", "hub", "first"), ("a", "", "hedge"))
        return FunctionCounts(
            name="f",
            sent=tuple(
                SentCount(variant=variant, place=place, purpose=purpose, count=count)
                for (variant, place, purpose), count in zip(keys, counts, strict=False)
            ),
        )

    (measured,) = rates(reading(10.0, sent(10, 5)), reading(12.0, sent(16, 7, 2))).functions
    assert measured.sent == {"a": 0.8, "a@hub": 0.2}
    assert measured.again_per_s == {"hedge": 1.0}


def test_without_calls_there_are_no_shares() -> None:
    """Nothing was missed, and nothing was in time."""
    whole = rates(reading(10.0, BEFORE), reading(12.0, BEFORE))
    assert (whole.calls_per_s, whole.attainment) == (0.0, None)
    assert whole.functions[0].p99_ms is None


def test_a_new_function_and_a_new_box_begin_with_nothing() -> None:
    """A count, or a clock, that has fallen is one that started anew."""
    new = rates(reading(10.0), reading(12.0, NOW)).functions[0]
    fallen = rates(
        reading(10.0, msgspec.structs.replace(NOW, outcomes={200: 999})), reading(12.0, NOW)
    ).functions[0]
    assert new.calls_per_s == fallen.calls_per_s == 105.0
    assert rates(reading(500.0, BEFORE), reading(2.0, NOW)).functions[0].calls_per_s == 105.0


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_that_has_it(buckets: list[int], share: float) -> None:
    """And it never falls as the share rises."""
    value = quantile_ms(buckets, EDGES_S, share)
    if not sum(buckets):
        assert value is None
        return
    assert value is not None and 0.0 <= value <= 100.0
    lower = quantile_ms(buckets, EDGES_S, share / 2)
    assert lower is not None and lower <= value + 1e-9
