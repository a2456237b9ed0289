"""What no type forbids in a scenario: a name twice, tiers that are nowhere, senseless numbers.

Each problem begins with the path of the field, as in `functions[0].variants[1].tiers`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from edgefn.simulate.fleet import sites_of
from edgefn.simulate.scenario import FunctionModel, LinkModel, Scenario, SiteModel

_Problems = Iterator[str]


def problems_of(scenario: Scenario) -> _Problems:
    """Yields what is wrong with a scenario, one sentence a problem."""
    for check in _CHECKS:
        yield from check(scenario)


def _numbers(scenario: Scenario) -> _Problems:
    """Numbers that no type forbids."""
    yield from _least(scenario, "", "warm_up_s", "local_rtt_s")
    if not scenario.duration_s > scenario.warm_up_s:
        yield (
            f"duration_s: {scenario.duration_s:g} must be more than warm_up_s, "
            f"{scenario.warm_up_s:g}: calls of the warm-up are not counted"
        )
    workload = scenario.workload
    yield from _least(workload, "workload", "calls_per_s", "popularity")
    yield from _more(workload, "workload", "cv", "swing_s")
    if not 0.0 <= workload.swing < 1.0:
        yield f"workload.swing: {workload.swing:g} must be at least 0 and less than 1"
    if workload.bursts is not None:
        yield from _more(workload.bursts, "workload.bursts", "low", "high", "mean_s", "every_s")
    yield from _more(workload.payload, "workload.payload", "median_bytes", "max_bytes")
    yield from _least(workload.payload, "workload.payload", "sigma")


def _names(scenario: Scenario) -> _Problems:
    """Names that two have."""
    yield from _twice("functions", (each.name for each in scenario.functions))
    yield from _twice("sites", (each.name for each in sites_of(scenario)))
    for index, function in enumerate(scenario.functions):
        yield from _twice(f"functions[{index}].variants", (each.name for each in function.variants))


def _functions(scenario: Scenario) -> _Problems:
    """Functions and variants that nothing could answer."""
    if not scenario.functions:
        yield "functions: there is none; write at least one [[functions]]"
    tiers = {each.tier for each in scenario.sites}
    for index, function in enumerate(scenario.functions):
        yield from _function(function, f"functions[{index}]", tiers)


def _function(function: FunctionModel, where: str, tiers: set[str]) -> _Problems:
    yield from _least(function, where, "deadline_s", "share")
    if not 0 <= function.priority <= 9:
        yield f"{where}.priority: {function.priority} must be from 0 to 9"
    if not function.variants:
        yield f"{where}.variants: {function.name} has none; write [[functions.variants]]"
    for number, variant in enumerate(function.variants):
        path = f"{where}.variants[{number}]"
        yield from _more(variant, path, "each_s", "bytes_factor")
        yield from _least(variant, path, "fixed_s", "cv", "prefix_s", "load_s", "memory_bytes")
        yield from _unknown_tiers(f"{path}.tiers", variant.tiers, tiers)
    best = max((each.accuracy for each in function.variants), default=1.0)
    if best < function.min_accuracy:
        yield (
            f"{where}.min_accuracy: no variant of {function.name} reaches "
            f"{function.min_accuracy:g}; its best has {best:g}"
        )


def _reach(scenario: Scenario) -> _Problems:
    """Calls that come in where nothing that could answer them is in reach."""
    linked = [frozenset(each.between) for each in scenario.links]
    for index, site in enumerate(scenario.sites):
        for function in scenario.functions if site.calls > 0.0 else ():
            tiers = {tier for variant in function.variants for tier in variant.tiers}
            if site.tier in tiers or any(
                {site.tier, tier} == pair for tier in tiers for pair in linked
            ):
                continue
            yield (
                f"sites[{index}]: calls of {function.name} come in at {site.name}, which has no "
                f"variant of it and no link to the tiers that do ({', '.join(sorted(tiers))}); "
                f'write [[links]] between = ["{site.tier}", ...]'
            )


def _sites(scenario: Scenario) -> _Problems:
    """Sites without boxes, boxes without variants, and nobody who calls."""
    served = {
        tier for each in scenario.functions for variant in each.variants for tier in variant.tiers
    }
    for index, site in enumerate(scenario.sites):
        yield from _site(site, f"sites[{index}]", served)
    if not any(each.calls > 0.0 for each in scenario.sites):
        yield "sites: calls come in at none of them; give one of them calls = 1.0"


def _site(site: SiteModel, where: str, served: set[str]) -> _Problems:
    yield from _least(site, where, "calls")
    yield from _least(site, where, "count", least=1)
    if not site.boxes:
        yield f"{where}.boxes: {site.name} has none; write [[sites.boxes]]"
    if site.tier not in served:
        yield (
            f"{where}.tier: no variant of any function is served at {site.tier!r}; "
            f"tiers of variants: {', '.join(sorted(served)) or 'none'}"
        )
    for number, box in enumerate(site.boxes):
        path = f"{where}.boxes[{number}]"
        yield from _more(box, path, "speed", "straggles_at")
        yield from _least(box, path, "count", "cores", "max_batch", least=1)
        yield from _least(box, path, "straggles_for_s", "straggles_every_s", "memory_bytes")
        yield from _least(box, path, "crashes_every_s", "down_for_s")


def _links(scenario: Scenario) -> _Problems:
    """Links between tiers that are not there, or twice between the same."""
    tiers = {each.tier for each in scenario.sites}
    pairs: list[str] = []
    for index, link in enumerate(scenario.links):
        yield from _link(link, f"links[{index}]", tiers)
        pairs.append(" and ".join(sorted(link.between)))
    yield from _twice("links", pairs)


def _link(link: LinkModel, where: str, tiers: set[str]) -> _Problems:
    yield from _unknown_tiers(f"{where}.between", link.between, tiers)
    yield from _more(link, where, "bits_per_s", "bad_bits_per_s", "bad_rtt_factor", "spike_factor")
    yield from _least(link, where, "rtt_s", "cv", "bad_for_s", "bad_every_s")
    for name in ("spike_share", "outage_share"):
        if not 0.0 <= getattr(link, name) <= 1.0:
            yield f"{where}.{name}: {getattr(link, name):g} must be from 0 to 1"


def _crowds(scenario: Scenario) -> _Problems:
    """Crowds of functions that are not there."""
    names = {each.name for each in scenario.functions}
    for index, crowd in enumerate(scenario.workload.crowds):
        where = f"workload.crowds[{index}]"
        yield from _more(crowd, where, "for_s", "factor")
        yield from _least(crowd, where, "at_s")
        if crowd.function and crowd.function not in names:
            known = ", ".join(sorted(names))
            yield f"{where}.function: there is no function {crowd.function!r}; there are: {known}"


_CHECKS: Final[tuple[Callable[[Scenario], _Problems], ...]] = (
    _functions, _sites, _links, _crowds, _names, _numbers, _reach,
)  # fmt: skip


def _unknown_tiers(where: str, tiers: Iterable[str], known: set[str]) -> _Problems:
    for tier in tiers:
        if tier not in known:
            there = ", ".join(sorted(known)) or "none"
            yield f"{where}: no site has the tier {tier!r}; tiers of sites: {there}"


def _twice(where: str, names: Iterable[str]) -> _Problems:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"{where}: {name!r} is there twice"
        seen.add(name)


def _more(struct: msgspec.Struct, where: str, *fields: str) -> _Problems:
    for field in fields:
        value = getattr(struct, field)
        if not 0.0 < value < float("inf"):
            yield f"{_path(where, field)}: {value:g} must be more than 0, and finite"


def _least(struct: msgspec.Struct, where: str, *fields: str, least: float = 0.0) -> _Problems:
    for field in fields:
        value = getattr(struct, field)
        if not least <= value < float("inf"):
            yield f"{_path(where, field)}: {value:g} must be at least {least:g}, and finite"


def _path(where: str, field: str) -> str:
    return f"{where}.{field}" if where else field
