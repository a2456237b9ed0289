"""Tables of simulations: policies, what differs between them, and the parts of one."""

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from edgefn.cli import output
from edgefn.simulate.plan import Plan
from edgefn.simulate.result import RunResult
from edgefn.simulate.statistics import Estimate
from edgefn.simulate.summary import Difference, Summary


def policies_table(summaries: Iterable[Summary]) -> Table:
    """Returns one line a policy, means over the seeds with the reach of their 95 % intervals."""
    numbers = ("in time, %", "accuracy, %", "cost/1000", "p50, ms", "p99, ms")
    table = output.table("policy", *numbers, right=numbers)
    for each in summaries:
        table.add_row(
            each.policy,
            _percent(each.attainment),
            f"{100 * each.accuracy.mean:.1f}",
            _plain(each.cost),
            f"{1000 * each.p50_s.mean:.3g}",
            f"{1000 * each.p99_s.mean:.3g}",
        )
    return table


def misses_table(summaries: Sequence[Summary]) -> Table:
    """Returns one line a policy: misses in percent of all calls by cause, and what it spent."""
    causes = sorted({cause for each in summaries for cause in each.misses})
    numbers = (*causes, "hedged, %", "replicas")
    table = output.table("misses, % of calls", *numbers, right=numbers)
    for each in summaries:
        table.add_row(
            each.policy,
            *(f"{100 * each.misses.get(cause, 0.0):.2f}" for cause in causes),
            f"{100 * each.hedges.mean:.1f}",
            f"{each.replicas.mean:.1f}",
        )
    return table


def misses_of(misses: Mapping[str, float]) -> str:
    """Returns shares of missed calls by cause, the largest first."""
    ranked = sorted(misses.items(), key=lambda item: -item[1])
    told = ", ".join(f"{cause} {100 * share:.2f}" for cause, share in ranked if share > 0.0)
    return told or "none"


def differences_table(differences: Iterable[Difference]) -> Table:
    """Returns one line a comparison; what is not marked `~` is outside of the seeds' luck."""
    numbers = ("in time, points", "accuracy, points", "cost/1000")
    table = output.table("compared with", *numbers, right=numbers)
    for each in differences:
        table.add_row(
            each.other,
            _difference(each.attainment, 100.0),
            _difference(each.accuracy, 100.0),
            _difference(each.cost, 1.0),
        )
    return table


def parts_table(title: str, runs: Sequence[RunResult], of: str) -> Table:
    """Returns calls and the share in time by `functions` or `sites`, of runs of one policy."""
    table = output.table(title, "calls", "in time, %", right=("calls", "in time, %"))
    parts: list[Mapping[str, tuple[int, int]]] = [
        run.functions if of == "functions" else run.sites for run in runs
    ]
    for name in parts[0]:
        calls = sum(part[name][0] for part in parts)
        on_time = sum(part[name][1] for part in parts)
        share = f"{100 * on_time / calls:.2f}" if calls else ""
        table.add_row(output.plain(name), str(calls), share)
    return table


def variants_table(runs: Sequence[RunResult]) -> Table:
    """Returns which share of the answers in time came from which variant and tier."""
    totals: dict[str, int] = {}
    for run in runs:
        for name, count in run.variants.items():
            totals[name] = totals.get(name, 0) + count
    table = output.table("variant", "answers in time, %", right=("answers in time, %",))
    everything = max(sum(totals.values()), 1)
    for name, count in sorted(totals.items(), key=lambda item: -item[1]):
        table.add_row(output.plain(name), f"{100 * count / everything:.1f}")
    return table


def plan_table(plan: Plan) -> Table:
    """Returns one line a number of boxes that was tried."""
    numbers = ("boxes a site", "in all", "in time, %", "cost/1000")
    table = output.table(*numbers, "", "misses, % of calls", right=numbers)
    for each in plan.points:
        chosen = each.boxes == plan.boxes
        table.add_row(
            str(each.boxes),
            str(each.boxes * plan.sites),
            _percent(each.summary.attainment),
            _plain(each.summary.cost),
            output.plain("enough", "green") if chosen else "",
            misses_of(each.summary.misses),
        )
    return table


def _percent(value: Estimate) -> str:
    reach = f" ± {100 * value.reach:.2f}" if math.isfinite(value.reach) else ""
    return f"{100 * value.mean:.2f}{reach}"


def _plain(value: Estimate) -> str:
    return f"{value.mean:.4g}"


def _difference(value: Estimate, factor: float) -> str:
    if not math.isfinite(value.reach):
        return f"{factor * value.mean:+.2f}"
    mark = "" if value.differs_from_zero else "~ "
    return f"{mark}{factor * value.mean:+.2f} ± {factor * value.reach:.2f}"
