"""How many boxes a load needs: a bisection over simulations.

More boxes are taken to answer no fewer calls in time. First the number is doubled, or halved, until
the objective lies between two numbers, and then that range is bisected.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from edgefn.errors import ConfigError
from edgefn.simulate.scenario import BoxModel, Scenario, SiteModel
from edgefn.simulate.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a number of boxes achieves.

    Attributes:
        boxes: At each site of the tier.
        summary: Of the runs with so many.
    """

    boxes: int
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was found.

    Attributes:
        tier: Whose boxes were varied.
        sites: With that tier.
        slo: Share of calls that are to be answered in time.
        points: All that was tried, by number of boxes.
        boxes: Fewest boxes at each site that reach it on average; None: not even the most tried do.
    """

    tier: str
    sites: int
    slo: float
    points: tuple[Point, ...]
    boxes: int | None

    def at(self, boxes: int) -> Summary | None:
        """Returns what a number of boxes achieves, if that was tried."""
        return next((each.summary for each in self.points if each.boxes == boxes), None)


def search(
    try_out: Callable[[int], Summary], *, slo: float, first: int, most: int
) -> tuple[dict[int, Summary], int | None]:
    """Returns all that was tried, and the fewest boxes that reach the objective, or None.

    Args:
        try_out: Returns what a number of boxes achieves; asked once for each.
        slo: Share of calls that are to be answered in time, on average over the seeds.
        first: Number to begin with.
        most: Never tries more.
    """
    tried: dict[int, Summary] = {}

    def is_enough(boxes: int) -> bool:
        tried[boxes] = try_out(boxes)
        return tried[boxes].attainment.mean >= slo

    enough = min(first, most)
    if is_enough(enough):
        short = enough // 2
        while short and is_enough(short):
            enough, short = short, short // 2
    else:
        short = enough
        while short < most and not is_enough(min(2 * short, most)):
            short = min(2 * short, most)
        if short == most:
            return tried, None
        enough = min(2 * short, most)
    while enough - short > 1:
        middle = (enough + short) // 2
        if is_enough(middle):
            enough = middle
        else:
            short = middle
    return tried, enough


def with_boxes(scenario: Scenario, tier: str, boxes: int) -> Scenario:
    """Returns a scenario in which each site of a tier has so many boxes, mixed as they were."""
    sites = tuple(_resized(site, boxes) if site.tier == tier else site for site in scenario.sites)
    return msgspec.structs.replace(scenario, sites=sites)


def _resized(site: SiteModel, boxes: int) -> SiteModel:
    mix = [one for group in site.boxes for one in _single(group)]
    return msgspec.structs.replace(
        site, boxes=tuple(mix[number % len(mix)] for number in range(boxes))
    )


def _single(group: BoxModel) -> list[BoxModel]:
    alone = msgspec.structs.replace(group, count=1)
    steady = msgspec.structs.replace(alone, straggles_every_s=0.0)
    others = steady if group.straggler_only_first else alone
    return [alone, *[others] * (group.count - 1)]


def boxes_at(scenario: Scenario, tier: str) -> int:
    """Returns how many boxes a site of a tier has; where they differ, the most.

    Raises:
        ConfigError: No site has the tier.
    """
    counts = [
        sum(group.count for group in site.boxes) for site in scenario.sites if site.tier == tier
    ]
    if not counts:
        known = ", ".join(sorted({site.tier for site in scenario.sites}))
        raise ConfigError(f"no site has the tier {tier!r}; tiers of {scenario.name}: {known}")
    return max(counts)


def sites_at(scenario: Scenario, tier: str) -> int:
    """Returns how many sites have a tier."""
    return sum(site.count for site in scenario.sites if site.tier == tier)


def reason(plan: Plan) -> str:
    """Returns in a sentence or two what keeps it from fewer boxes, or what more do not mend."""
    if plan.boxes is None:
        last = plan.points[-1]
        return (
            f"{last.boxes} boxes a site answer {_percent(last.summary)} in time; "
            f"{_causes(last.summary)}"
        )
    fewer = plan.at(plan.boxes - 1)
    if fewer is None:
        return "one box a site is enough"
    told = f"with {plan.boxes - 1} a site {_percent(fewer)} would be in time; {_causes(fewer)}"
    summary = plan.at(plan.boxes)
    if summary is not None and summary.attainment.low < plan.slo:
        low = max(summary.attainment.low, 0.0)
        told += (
            f". The 95 % interval of {plan.boxes} begins at {100 * low:.2f} %: "
            f"try more seeds, or take one box more"
        )
    return told


def _percent(summary: Summary) -> str:
    return f"{100 * summary.attainment.mean:.2f} %"


def _causes(summary: Summary) -> str:
    """Returns the largest causes of misses, and what they tell."""
    total = sum(summary.misses.values())
    if not total:
        return "none was missed"
    ranked = sorted(summary.misses.items(), key=lambda item: -item[1])[:2]
    shares = " and ".join(f"{100 * share / total:.0f} % by {cause}" for cause, share in ranked)
    advice = _ADVICE.get(ranked[0][0], "")
    return f"of the misses, {shares}{': ' if advice else ''}{advice}"


_ADVICE = {
    "network": "boxes do not mend a network",
    "queue": "boxes were too busy",
    "refused": "boxes were too busy to begin with them",
    "compute": "boxes were too slow, or ran too large batches",
    "cold": "replicas started too late",
    "lost": "boxes crashed",
}
