"""Pictures of simulations: the course of one policy, policies side by side, and a plan."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from edgefn.simulate.figure import CAUSE_COLOURS, GREY, INK, RED, figure, plain, png
from edgefn.simulate.plan import Plan
from edgefn.simulate.result import RunResult, Second
from edgefn.simulate.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_POINTS: Final = 120  # more cannot be told apart in a line


def draw_course(runs: Sequence[RunResult], *, warm_up_s: float) -> bytes:
    """Returns a PNG of how runs went: attainment, accuracy, cost, replicas and misses over time.

    Args:
        runs: Of one policy, that differ by their seed only; they are taken together.
        warm_up_s: Where their counted time begins.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    made = figure(8.0)
    panels = made.subplots(5, 1, sharex=True, height_ratios=(1.4, 1, 1, 1, 1.4))
    steps = _steps([run.seconds for run in runs])
    step_s = max(len(runs[0].seconds), 1) / max(len(steps), 1)
    instants = [warm_up_s + (index + 0.5) * step_s for index in range(len(steps))]
    lines: tuple[tuple[str, Callable[[Second], float]], ...] = (
        ("in time, %", lambda step: 100.0 * step.on_time / step.calls if step.calls else math.nan),
        ("accuracy, %", lambda step: 100.0 * step.accuracy if step.on_time else math.nan),
        ("cost a call", lambda step: step.cost / step.calls if step.calls else math.nan),
        ("replicas", lambda step: step.replicas),
    )
    for axes, (label, of) in zip(panels, lines, strict=False):
        axes.plot(instants, [of(step) for step in steps], color=INK, linewidth=1.2)
        plain(axes, label)
    panels[3].set_ylim(bottom=0.0)
    _draw_misses(panels[4], instants, steps, step_s * len(runs))
    panels[4].set_xlabel("virtual time, s", size=8)
    first = runs[0]
    made.suptitle(f"{first.scenario}: {first.policy} at load {first.load:g}", fontsize=9)
    return png(made)


def _draw_misses(
    axes: "Axes", instants: Sequence[float], steps: Sequence[Second], run_seconds: float
) -> None:
    """Draws misses a second, stacked by cause."""
    causes = [cause for cause in CAUSE_COLOURS if any(cause in step.misses for step in steps)]
    stacks = [[step.misses.get(cause, 0) / run_seconds for step in steps] for cause in causes]
    if causes:
        colours = [CAUSE_COLOURS[cause] for cause in causes]
        axes.stackplot(instants, *stacks, labels=causes, colors=colours, step="mid")
        above = (0.0, 0.95)
        axes.legend(
            fontsize=7, frameon=False, ncols=len(causes), loc="lower left", bbox_to_anchor=above
        )
    plain(axes, "misses a second")


def _steps(runs: Sequence[Sequence[Second]]) -> list[Second]:
    """Returns the seconds of all runs together, in as few steps as a picture can show."""
    length = max(len(seconds) for seconds in runs)
    per_step = max(math.ceil(length / _MOST_POINTS), 1)
    return [
        _together([one for seconds in runs for one in seconds[begin : begin + per_step]])
        for begin in range(0, length, per_step)
    ]


def _together(seconds: Sequence[Second]) -> Second:
    on_time = sum(one.on_time for one in seconds)
    misses: dict[str, int] = {}
    for one in seconds:
        for cause, count in one.misses.items():
            misses[cause] = misses.get(cause, 0) + count
    return Second(
        calls=sum(one.calls for one in seconds),
        on_time=on_time,
        accuracy=sum(one.accuracy * one.on_time for one in seconds) / max(on_time, 1),
        cost=sum(one.cost for one in seconds),
        replicas=sum(one.replicas for one in seconds) / max(len(seconds), 1),
        misses=misses,
    )


def draw_policies(summaries: Sequence[Summary], *, title: str) -> bytes:
    """Returns a PNG of policies side by side: misses by cause, accuracy and cost.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    made = figure(1.6 + 0.28 * len(summaries))
    left, middle, right = made.subplots(1, 3, sharey=True, width_ratios=(2.2, 1, 1))
    rows = range(len(summaries))
    begin = [0.0] * len(summaries)
    for cause, colour in CAUSE_COLOURS.items():
        shares = [100.0 * each.misses.get(cause, 0.0) for each in summaries]
        if any(shares):
            left.barh(rows, shares, left=begin, color=colour, label=cause, height=0.7)
            begin = [one + more for one, more in zip(begin, shares, strict=True)]
    for row, missed in enumerate(begin):
        left.text(missed, row, f" {missed:.1f}", va="center", fontsize=7)
    middle.plot([100.0 * each.accuracy.mean for each in summaries], rows, "o", color=INK)
    right.plot([each.cost.mean for each in summaries], rows, "o", color=INK)
    left.set_yticks(rows, [each.policy for each in summaries])
    left.invert_yaxis()
    left.set_xlabel("missed, % of calls", size=8)
    middle.set_xlabel("accuracy in time, %", size=8)
    right.set_xlabel("cost of 1000 calls", size=8)
    for axes in (left, middle, right):
        plain(axes, "", grid="x")
    if any(begin):
        left.legend(fontsize=7, frameon=False, loc="lower right")
    made.suptitle(title, fontsize=9)
    return png(made)


def draw_plan(plan: Plan, *, title: str) -> bytes:
    """Returns a PNG of the share in time over the number of boxes, with its 95 % interval.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    made = figure(3.4)
    axes = made.subplots()
    boxes = [point.boxes for point in plan.points]
    found = [point.summary.attainment for point in plan.points]
    means = [100.0 * each.mean for each in found]
    known = [each for each in found if math.isfinite(each.reach)] == found
    down = [100.0 * (each.mean - max(each.low, 0.0)) for each in found]
    up = [100.0 * (min(each.high, 1.0) - each.mean) for each in found]
    axes.errorbar(
        boxes, means, (down, up) if known else None, fmt="o-", color=INK, linewidth=1.2, capsize=2
    )
    axes.axhline(100.0 * plan.slo, color=GREY, linewidth=1.0, linestyle="--")
    if plan.boxes is not None:
        axes.axvline(plan.boxes, color=RED, linewidth=1.0)
    axes.set_ylim(top=100.5)
    axes.set_xlabel(f"boxes at each site of tier {plan.tier} (there are {plan.sites})", size=8)
    axes.set_xticks(boxes)
    plain(axes, "in time, %")
    made.suptitle(title, fontsize=9)
    return png(made)
