"""From what boxes want to how many replicas a Ray cluster should hold, and where. Pure.

Boxes of one tier and site share what they have; those of different sites do not. So there is one
pool for each variant, tier and site that has a box with Ray, and it holds what the scalers of its
boxes want together.
"""

from collections import defaultdict
from collections.abc import Iterable

from edgefn.desired.report import BoxReport
from edgefn_runtime.leasing import Pool


def pools(reports: Iterable[BoxReport]) -> tuple[Pool, ...]:
    """Returns the pools of a fleet, sorted.

    Args:
        reports: The newest one of each box that is not lost. A box without Ray, and a variant that
            its box cannot serve, count for nothing.
    """
    counts: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for report in reports:
        if not report.has_ray:
            continue
        for function in report.functions:
            if function.state not in ("serving", "pending", "failed") or not function.digest:
                continue
            for variant in function.variants:
                if not variant.refused:
                    key = (function.name, variant.name, report.tier, report.site)
                    counts[key] += variant.wanted
    return tuple(
        Pool(function=function, variant=variant, tier=tier, site=site, count=count)
        for (function, variant, tier, site), count in sorted(counts.items())
    )
