"""What a box has counted since it started, in one small answer: its differences are the load."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from edgefn.box.functions import Function
from edgefn.box.replica import Replica
from edgefn.box.totals import Totals
from edgefn.gateway.control import LATENCY_EDGES_S


def box_counts(
    *,
    box: str,
    tier: str,
    functions: Iterable[Function],
    replicas: Iterable[Replica],
    totals: Totals,
    gateways: Iterable[int],
) -> dict[str, Any]:
    """Returns a `BoxCounts`, as the admin API spells it.

    Args:
        box: Its name.
        tier: Its tier.
        functions: Those that are deployed.
        replicas: All that live.
        totals: What gateways reported.
        gateways: Their numbers.
    """
    replicas = list(replicas)
    return {
        "box": box,
        "tier": tier,
        "at_s": time.monotonic(),
        "connections": sum(totals.connections(gateway) for gateway in gateways),
        "latency_edges_s": LATENCY_EDGES_S,
        "places": totals.places(),
        "functions": [
            _function_counts(function, replicas, totals)
            for function in sorted(functions, key=lambda one: one.serving.function)
        ],
    }


def _function_counts(function: Function, replicas: list[Replica], totals: Totals) -> dict[str, Any]:
    name = function.serving.function
    counts = totals.functions[name]
    states: dict[str, Counter[str]] = {}
    for replica in replicas:
        if replica.revision.function == name:
            states.setdefault(replica.variant.name, Counter())[replica.state] += 1
    return {
        "name": name,
        "state": "quarantined" if function.quarantined_because else "serving",
        "outcomes": counts.outcomes,
        "variants": counts.variants,
        "sent": [
            {"variant": variant, "place": place, "purpose": purpose, "count": count}
            for (variant, place, purpose), count in counts.sent.items()
        ],
        "refused": counts.refused,
        "degraded": counts.degraded,
        "forwarded_in": counts.forwarded_in,
        "misses": counts.misses,
        "latency_buckets": counts.latency_buckets,
        "latency_sum_s": counts.latency_sum_s,
        "queue_sum_s": counts.queue_sum_s,
        "service_sum_s": counts.service_sum_s,
        "cold_starts": counts.cold_starts,
        "ongoing": totals.ongoing(name),
        "waiting": totals.waiting(name),
        "deaths": function.deaths,
        "replicas": states,
    }
