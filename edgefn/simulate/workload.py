"""All calls of a scenario in order of time, made lazily.

Gamma renewals for each site and function (`sources.py`), rescaled by the rate of the site
(`rate.py`), or a trace; Zipf popularity; lognormal sizes. Windows of time are made with numpy and
merged, so that memory is bounded by the calls of one window; what a window holds changes nothing.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.fleet import Site, sites_of
from edgefn.simulate.rate import Floats, RateClock, Swing
from edgefn.simulate.scenario import FlashCrowd, FunctionModel, Payload, Scenario
from edgefn.simulate.sources import Recorded, Renewals, Source
from edgefn.simulate.spells import Spells
from edgefn.simulate.streams import stream
from edgefn.simulate.traces import Trace, read_trace

_CALLS_PER_WINDOW: Final = 16_384  # so that what numpy costs a call of its own is shared
_CALLS_PER_SOURCE: Final = 8
_Key = tuple[int, int]


def popularity(scenario: Scenario) -> list[float]:
    """Returns the share of the synthetic calls that each function has; 0 for one with a trace.

    A function's `share` is its weight, where it has one; else `rank ** -popularity`.
    """
    exponent = scenario.workload.popularity
    weights = [
        0.0 if each.trace else each.share or float(rank) ** -exponent
        for rank, each in enumerate(scenario.functions, start=1)
    ]
    total = math.fsum(weights)
    return [weight / total if total else 0.0 for weight in weights]


def arrivals(scenario: Scenario, *, seed: int, load: float = 1.0) -> Iterator[Arrival]:
    """Yields the calls of a run, ascending in time; equal arguments give equal calls.

    Args:
        scenario: Of which the calls are; traces are read at the first call.
        seed: Of all its random numbers.
        load: Synthetic rates are multiplied by it, and traces played so many times as fast.

    Raises:
        ConfigError: A trace cannot be read.
    """
    clocks, drawn = _drawn_sources(scenario, seed, load)
    recorded = _recorded_sources(scenario, seed, load)
    sources: list[Source] = [*drawn, *recorded]
    lucks: dict[_Key, numpy.random.Generator] = {}
    rate = math.fsum(each.calls_per_tick for each in drawn)
    rate += sum(map(len, recorded)) / scenario.duration_s
    calls = _CALLS_PER_WINDOW + _CALLS_PER_SOURCE * len(sources)
    window_s = min(calls / max(rate, 1.0), scenario.duration_s)
    for number in range(math.ceil(scenario.duration_s / window_s)):
        until_s = min((number + 1) * window_s, scenario.duration_s)
        for clock in clocks:
            clock.advance(until_s)
        yield from _calls(sources, until_s, lucks, scenario.workload.payload, seed)


def _calls(
    sources: Sequence[Source],
    until_s: float,
    lucks: dict[_Key, numpy.random.Generator],
    payload: Payload,
    seed: int,
) -> Iterator[Arrival]:
    """Yields the calls of one window, by time, and at equal times in the order of the sources.

    A call has the same size and luck whatever window it is in: they are drawn in the order of the
    calls of one function at one site.
    """
    instants, sizes, normals, keys = [], [], [], []
    for source in sources:
        times, known = source.take(until_s)
        if not len(times):
            continue
        key = (source.site, source.function)
        if key not in lucks:
            lucks[key] = stream(seed, "luck", *key)
        normal = lucks[key].standard_normal((len(times), 3))
        instants.append(times)
        sizes.append(_sizes(payload, normal[:, 0]) if known is None else known)
        normals.append(normal)
        keys.append(numpy.broadcast_to(key, (len(times), 2)))
    if not instants:
        return
    all_times = numpy.concatenate(instants)
    order = numpy.argsort(all_times, kind="stable")
    where = numpy.concatenate(keys)[order]
    normal = numpy.concatenate(normals)[order]
    columns = (
        all_times[order],
        where[:, 0],
        where[:, 1],
        numpy.concatenate(sizes)[order].astype(numpy.int64),
        normal[:, 1],
        normal[:, 2],
    )
    yield from map(Arrival, *(column.tolist() for column in columns))


def _sizes(payload: Payload, normal: Floats) -> Floats:
    drawn = payload.median_bytes * numpy.exp(payload.sigma * normal)
    return numpy.clip(drawn, 1.0, payload.max_bytes)


def _drawn_sources(
    scenario: Scenario, seed: int, load: float
) -> tuple[list[RateClock], list[Renewals]]:
    clocks: list[RateClock] = []
    sources: list[Renewals] = []
    sites = [site for site in sites_of(scenario) if site.model.calls > 0.0]
    shares = popularity(scenario)
    rate = scenario.workload.calls_per_s * load
    for rank, site in enumerate(sites):
        phase = 2.0 * math.pi * rank / len(sites)
        made: dict[tuple[FlashCrowd, ...], RateClock] = {}
        for index, function in enumerate(scenario.functions):
            per_tick = rate * site.model.calls * shares[index]
            if per_tick <= 0.0:
                continue
            crowds = _crowds_of(scenario, function)
            if crowds not in made:
                made[crowds] = _clock(scenario, seed, site, phase, crowds)
            sources.append(
                Renewals(
                    stream(seed, "gaps", site.index, index),
                    made[crowds],
                    site=site.index,
                    function=index,
                    calls_per_tick=per_tick,
                    cv=scenario.workload.cv,
                )
            )
        clocks += made.values()
    return clocks, sources


def _crowds_of(scenario: Scenario, function: FunctionModel) -> tuple[FlashCrowd, ...]:
    crowds = scenario.workload.crowds
    return tuple(each for each in crowds if each.function in ("", function.name))


def _clock(
    scenario: Scenario, seed: int, site: Site, phase: float, crowds: tuple[FlashCrowd, ...]
) -> RateClock:
    workload = scenario.workload
    bursts = workload.bursts
    # Each clock of a site draws its bursts anew from the same stream: they are the site's.
    spells = Spells(
        stream(seed, "bursts", site.index),
        for_s=bursts.mean_s if bursts else 0.0,
        every_s=bursts.every_s if bursts else 0.0,
    )
    return RateClock(Swing(workload.swing, workload.swing_s, phase), bursts, spells, crowds)


def _recorded_sources(scenario: Scenario, seed: int, load: float) -> list[Recorded]:
    sites = [site for site in sites_of(scenario) if site.model.calls > 0.0]
    sources: list[Recorded] = []
    for index, function in enumerate(scenario.functions):
        if not function.trace:
            continue
        rng = stream(seed, "trace", index)
        until_s = scenario.duration_s * load
        trace = read_trace(function.trace, function.name, until_s=until_s, rng=rng)
        where = _sites_of_calls(trace, sites, rng)
        for site in sites:
            mine = where == site.index
            sources.append(
                Recorded(
                    trace.instants_s[mine] / load,
                    None if trace.sizes is None else trace.sizes[mine],
                    site=site.index,
                    function=index,
                )
            )
    return sources


def _sites_of_calls(trace: Trace, sites: Sequence[Site], rng: numpy.random.Generator) -> Floats:
    """Returns the index of each call's site: the trace's, else by the sites' shares."""
    indices = numpy.array([site.index for site in sites])
    if trace.sites is None:
        shares = numpy.array([site.model.calls for site in sites])
        return rng.choice(indices, len(trace.instants_s), p=shares / shares.sum())
    by_name = {site.name: site.index for site in sites}
    return numpy.array([trace.site_index(name, by_name) for name in trace.sites], dtype=int)
