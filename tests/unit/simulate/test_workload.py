"""Synthetic calls: their rates, gaps, sizes and luck."""

import itertools
import math
import statistics
from collections import Counter

import msgspec
import numpy
import pytest

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.scenario import (
    BoxModel,
    Bursts,
    FlashCrowd,
    FunctionModel,
    Payload,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)
from edgefn.simulate.workload import arrivals, popularity

_VARIANTS = (VariantModel(name="int8", each_s=0.01),)


def _scenario(
    *, functions: int = 1, sites: int = 1, duration_s: float = 100.0, **workload: object
) -> Scenario:
    return Scenario(
        name="test",
        duration_s=duration_s,
        functions=tuple(FunctionModel(name=f"f{n}", variants=_VARIANTS) for n in range(functions)),
        sites=(SiteModel(name="edge", count=sites, boxes=(BoxModel(),)),),
        workload=msgspec.convert({"calls_per_s": 100.0} | workload, Workload),
    )


def _calls(scenario: Scenario, *, seed: int = 1, load: float = 1.0) -> list[Arrival]:
    return list(arrivals(scenario, seed=seed, load=load))


def test_calls_come_in_order_within_the_duration_at_the_rate() -> None:
    """Load multiplies it; each site of share 1 has it in full."""
    calls = _calls(_scenario(functions=3, sites=2), load=2.0)
    instants = [call.at_s for call in calls]
    assert instants == sorted(instants)
    assert instants[0] >= 0.0 and instants[-1] < 100.0
    assert len(calls) == pytest.approx(2 * 2 * 100 * 100, rel=0.03)
    assert {call.site for call in calls} == {0, 1}


def test_equal_seeds_give_equal_calls_and_others_do_not() -> None:
    """To the last bit."""
    scenario = _scenario(functions=2, cv=3.0, swing=0.4, duration_s=20.0)
    assert _calls(scenario) == _calls(scenario)
    assert _calls(scenario)[:50] != _calls(scenario, seed=2)[:50]


def test_what_a_window_holds_changes_no_call() -> None:
    """A run twice as long, made in other windows, begins with the same calls."""
    short = _calls(_scenario(functions=2, cv=4.0, swing=0.3, swing_s=40.0, duration_s=20.0))
    long = _calls(_scenario(functions=2, cv=4.0, swing=0.3, swing_s=40.0, duration_s=40.0))
    for one, other in zip(short, long, strict=False):
        # Rates are constant within cells, and the cells of windows differ a little.
        assert one.at_s == pytest.approx(other.at_s, abs=2e-3)
    assert Counter(call[4:] for call in short) <= Counter(call[4:] for call in long)


def test_a_new_function_leaves_the_luck_of_the_others() -> None:
    """Each function has streams of its own."""
    lucks = [
        [call[4:] for call in _calls(_scenario(functions=count)) if call.function == 0][:500]
        for count in (1, 2)
    ]
    assert lucks[0] == lucks[1]


@pytest.mark.parametrize("cv", [1.0, 2.0, 4.0])
def test_the_variation_of_gaps_survives_a_changing_rate(cv: float) -> None:
    """Measured in ticks of the integrated rate, gaps have the coefficient that was asked for."""
    scenario = _scenario(cv=cv, swing=0.8, swing_s=50.0, calls_per_s=400.0, duration_s=200.0)
    times = numpy.array([call.at_s for call in _calls(scenario)])
    turn = 2.0 * math.pi / 50.0
    gaps = numpy.diff(times - 0.8 / turn * numpy.cos(turn * times))
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.07)


def test_the_rate_swings_and_sites_are_out_of_phase() -> None:
    """Two sites are half a period apart: one is high while the other is low."""
    calls = _calls(_scenario(sites=2, swing=0.9, swing_s=100.0, calls_per_s=300.0))
    firsts = Counter(call.site for call in calls if call.at_s < 50.0)
    # The mean of 1 + 0.9 sin over its upper half is 1 + 1.8 / pi.
    assert firsts[0] == pytest.approx(300 * 50 * (1 + 1.8 / math.pi), rel=0.05)
    assert firsts[1] == pytest.approx(300 * 50 * (1 - 1.8 / math.pi), rel=0.1)


def test_bursts_raise_the_rate_by_their_factor() -> None:
    """Half of the time at three times the rate makes twice the calls."""
    bursts = msgspec.to_builtins(Bursts(low=3.0, high=3.0, mean_s=1.0, every_s=1.0))
    calls = _calls(_scenario(bursts=bursts, duration_s=400.0))
    assert len(calls) == pytest.approx(2 * 100 * 400, rel=0.05)


def test_a_flash_crowd_is_of_its_function_alone() -> None:
    """Ten times the rate for ten seconds; the other function does not notice."""
    crowd = msgspec.to_builtins(FlashCrowd(at_s=40.0, for_s=10.0, function="f1"))
    calls = _calls(_scenario(functions=2, popularity=0.0, crowds=[crowd]))
    during = Counter(call.function for call in calls if 40.0 <= call.at_s < 50.0)
    assert during[0] == pytest.approx(500, rel=0.15)
    assert during[1] == pytest.approx(5000, rel=0.1)
    assert sum(call.function == 1 for call in calls) == pytest.approx(5000 + 4500, rel=0.05)


def test_popularity_is_zipf_where_no_share_is_given() -> None:
    """A function with a trace has no part in it."""
    scenario = _scenario(functions=4, popularity=1.0)
    functions = list(scenario.functions)
    functions[1] = msgspec.structs.replace(functions[1], share=2.0)
    functions[3] = msgspec.structs.replace(functions[3], trace="x.csv")
    shares = popularity(msgspec.structs.replace(scenario, functions=tuple(functions)))
    total = 1.0 + 2.0 + 1 / 3
    assert shares == pytest.approx([1 / total, 2 / total, 1 / 3 / total, 0.0])


def test_sizes_are_lognormal_and_cut() -> None:
    """Around the median, in whole bytes, never above the greatest."""
    payload = msgspec.to_builtins(Payload(median_bytes=1000.0, sigma=1.0, max_bytes=5000.0))
    sizes = [call.size_bytes for call in _calls(_scenario(payload=payload))]
    assert statistics.median(sizes) == pytest.approx(1000, rel=0.05)
    assert max(sizes) == 5000
    assert all(isinstance(size, int) for size in itertools.islice(sizes, 10))


def test_luck_is_standard_normal() -> None:
    """Both kinds, and independent of each other."""
    calls = _calls(_scenario(duration_s=200.0))
    lucks = numpy.array([(call.service_luck, call.network_luck) for call in calls])
    assert lucks.mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.03)
    assert lucks.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.03)
    assert numpy.corrcoef(lucks.T)[0, 1] == pytest.approx(0.0, abs=0.03)


def test_a_rare_function_is_called_rarely_and_from_no_fixed_start() -> None:
    """One call in 50 s on average, over many seeds, equally often in the first half."""
    scenario = _scenario(calls_per_s=0.02, cv=2.0)
    calls = [call for seed in range(300) for call in _calls(scenario, seed=seed)]
    assert len(calls) == pytest.approx(600, rel=0.2)
    assert sum(call.at_s < 50.0 for call in calls) == pytest.approx(300, rel=0.25)
