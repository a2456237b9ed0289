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
from edgefn.simulate.scenario import FlashCrowd, FunctionModel, Scenario
from edgefn.simulate.sources import Marks, Recorded, Renewals, Source
from edgefn.simulate.spells import Spells
from edgefn.simulate.streams import stream
from edgefn.simulate.traces import Trace, read_trace

_CALLS_PER_WINDOW: Final = 16_384
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
    clocks, sources = _drawn_sources(scenario, seed, load)
    sources += _recorded_sources(scenario, seed, load)
    marks: dict[_Key, Marks] = {}
    window_s = _window_s(scenario, load, len(sources))
    for number in range(math.ceil(scenario.duration_s / window_s)):
        until_s = min((number + 1) * window_s, scenario.duration_s)
        for clock in clocks:
            clock.advance(until_s)
        yield from _calls(sources, until_s, marks, scenario, seed)


def _window_s(scenario: Scenario, load: float, sources: int) -> float:
    """Returns a length at which numpy's cost a call is paid for many calls."""
    share = math.fsum(each.calls * each.count for each in scenario.sites)
    rate = scenario.workload.calls_per_s * load * share
    calls = _CALLS_PER_WINDOW + _CALLS_PER_SOURCE * sources
    return min(calls / max(rate, 1.0), scenario.duration_s)


def _calls(
    sources: Sequence[Source],
    until_s: float,
    marks: dict[_Key, Marks],
    scenario: Scenario,
    seed: int,
) -> Iterator[Arrival]:
    """Yields the calls of one window, by time, and at equal times in the order of the sources."""
    instants, sizes, lucks = [], [], []
    counts, whose = [], []
    for source in sources:
        times, known = source.take(until_s)
        if not len(times):
            continue
        key = (source.site, source.function)
        if key not in marks:
            payload = scenario.workload.payload
            marks[key] = Marks(seed, payload, site=source.site, function=source.function)
        instants.append(times)
        sizes.append(marks[key].sizes(len(times)) if known is None else known)
        lucks.append(marks[key].luck(len(times)))
        counts.append(len(times))
        whose.append(key)
    if not instants:
        return
    times = numpy.concatenate(instants)
    order = numpy.argsort(times, kind="stable")
    keys = numpy.repeat(numpy.array(whose), counts, axis=0)[order]
    luck = numpy.concatenate(lucks)[order]
    columns = (
        times[order],
        keys[:, 0],
        keys[:, 1],
        numpy.maximum(numpy.concatenate(sizes)[order], 1.0).astype(numpy.int64),
        luck[:, 0],
        luck[:, 1],
    )
    yield from map(Arrival, *(column.tolist() for column in columns))


def _drawn_sources(
    scenario: Scenario, seed: int, load: float
) -> tuple[list[RateClock], list[Source]]:
    clocks: list[RateClock] = []
    sources: list[Source] = []
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
                    per_tick=per_tick,
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


def _recorded_sources(scenario: Scenario, seed: int, load: float) -> list[Source]:
    sites = [site for site in sites_of(scenario) if site.model.calls > 0.0]
    sources: list[Source] = []
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
