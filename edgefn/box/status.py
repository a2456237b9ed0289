"""What a box says of itself to operators."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgefn.box.functions import Function
from edgefn.box.replica import Replica
from edgefn.box.state import RevisionRow
from edgefn.box.totals import Totals
from edgefn_runtime.variant import Variant


async def memory_of(replicas: Iterable[Replica]) -> dict[str, int]:
    """Returns the private memory of replicas in bytes, by id."""
    pids = [(replica.id, replica.pid) for replica in replicas]
    return await asyncio.to_thread(lambda: {name: private_bytes(pid) for name, pid in pids})


def function_status(
    function: Function, replicas: Iterable[Replica], memory: dict[str, int], totals: Totals
) -> dict[str, Any]:
    """Returns a `FunctionStatus`, as the admin API spells it.

    Args:
        function: To describe.
        replicas: All of the box.
        memory: As `memory_of` returned it a moment ago.
        totals: What gateways reported.
    """
    revision = function.serving
    name = revision.function
    counts = totals.functions[name]
    replicas = list(replicas)
    reason = function.quarantined_because
    state = "quarantined" if reason else "elsewhere" if revision.elsewhere else "serving"
    death = function.last_death
    return {
        "name": name,
        "revision": revision.number,
        "digest": revision.digest,
        "state": state,
        "reason": reason or revision.elsewhere,
        "doc": revision.spec.doc,
        "variants": [
            _variant_status(function, variant, replicas) for variant in revision.manifest.variants
        ],
        "replicas": [
            _replica_status(replica, memory.get(replica.id, 0), totals)
            for replica in replicas
            if replica.revision.function == name
        ],
        "calls": counts.calls,
        "errors": counts.errors,
        "misses": counts.misses.total(),
        "deaths": function.deaths,
        "last_death": death and {"at": death.at.isoformat(), "reason": death.reason},
    }


def revision_status(row: RevisionRow) -> dict[str, Any]:
    """Returns one line of a history, as the admin API spells it."""
    return {
        "revision": row.number,
        "digest": row.digest,
        "state": row.state,
        "reason": row.reason,
        "created_at": row.created_at,
        "note": row.note,
    }


def private_bytes(pid: int | None, proc: Path = Path("/proc")) -> int:
    """Returns the memory that a process shares with nobody; 0 if it has gone."""
    if pid is None:
        return 0
    try:
        text = (proc / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * sum(
        int(line.split()[1])
        for line in text.splitlines()
        if line.startswith(("Private_Clean:", "Private_Dirty:"))
    )


def _variant_status(
    function: Function, variant: Variant, replicas: Iterable[Replica]
) -> dict[str, Any]:
    route = function.variant_route(variant)
    return {
        "name": variant.name,
        "default": variant.name == function.serving.default.name,
        "state": route.state,
        "reason": route.reason,
        "replicas": sum(
            replica.state == "ready" and replica.variant == variant and function.serves(replica)
            for replica in replicas
        ),
        "wanted": function.wanted[variant.name],
        "leases": function.leases[variant.name],
        "backend": variant.backend,
        "recipe": variant.recipe,
        "measured": variant.measured,
    }


def _replica_status(replica: Replica, memory_bytes: int, totals: Totals) -> dict[str, Any]:
    return {
        "replica": replica.id,
        "pid": replica.pid or 0,
        "variant": replica.variant.name,
        "state": replica.state,
        "ongoing": totals.at_replica(replica.revision.function, replica.id),
        "started_at": replica.started_at.isoformat(),
        "private_bytes": memory_bytes,
    }
