"""Boxes that cannot hold a replica of every function at once."""

import math

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.run import simulate
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)

MB = 1_000_000


def variant(memory_bytes: int, load_s: float) -> VariantModel:
    return VariantModel(
        name="v",
        tiers=("edge",),
        accuracy=0.9,
        fixed_s=0.0,
        each_s=0.01,
        cost=1.0,
        load_s=load_s,
        memory_bytes=memory_bytes,
    )


def function(name: str, *, memory_bytes: int, load_s: float = 0.3) -> FunctionModel:
    return FunctionModel(name=name, deadline_s=1.0, variants=(variant(memory_bytes, load_s),))


def yard(*functions: FunctionModel) -> Scenario:
    """Two boxes of 100 MB each."""
    boxes = (BoxModel(count=2, memory_bytes=100 * MB),)
    return Scenario(
        name="yard",
        duration_s=60.0,
        warm_up_s=0.0,
        scaling="scaler",
        functions=functions,
        sites=(SiteModel(name="yard", boxes=boxes),),
        workload=Workload(calls_per_s=1.0),
    )


def every(gap_s: float, number: int, start_s: float = 0.0) -> list[Arrival]:
    """Calls of one function of the only site."""
    count = math.ceil((60.0 - start_s) / gap_s)
    return [Arrival(start_s + gap_s * k, 0, number, 100, 0.0, 0.0) for k in range(count)]


def attained(scenario: Scenario, *calls: list[Arrival]) -> list[float]:
    """Returns by function the share of its calls that were in time."""
    result = simulate(scenario, arrivals=iter(sorted(call for each in calls for call in each)))
    return [on_time / count for count, on_time in result.functions.values()]


def test_a_call_that_waits_wins_over_replicas_that_nobody_uses() -> None:
    """A large function is answered though small ones, whose starts take too long, fill both boxes.

    Its replica fits no box beside theirs, though it would fit what both have left together.
    """
    small = [function(f"s{k}", memory_bytes=30 * MB, load_s=2.0) for k in range(4)]
    large = function("large", memory_bytes=60 * MB)
    calls = [every(15.0, k, start_s=0.1 * k) for k in range(4)]
    shares = attained(yard(*small, large), *calls, every(7.0, 4, start_s=10.0))
    assert shares[4] == 1.0


def test_what_is_called_all_the_time_makes_no_room() -> None:
    """Those that are called once a while have what is left, one after the other."""
    busy = function("busy", memory_bytes=150 * MB // 2)
    rare = [function(f"r{k}", memory_bytes=60 * MB) for k in range(2)]
    shares = attained(
        yard(busy, *rare), every(0.05, 0), every(10.0, 1, start_s=3.0), every(10.0, 2, start_s=8.0)
    )
    assert shares[0] > 0.99
    assert shares[1:] == [1.0, 1.0]


def test_nothing_makes_room_for_what_fits_no_box() -> None:
    """Its calls are refused, and the others stay."""
    small = function("small", memory_bytes=30 * MB)
    giant = function("giant", memory_bytes=130 * MB)
    shares = attained(yard(small, giant), every(0.5, 0), every(5.0, 1))
    assert shares == [1.0, 0.0]
