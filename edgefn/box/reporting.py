"""What a box says of itself to its hub; the hub says it of itself, too."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import edgefn
from edgefn.box.config import BoxConfig
from edgefn.box.functions import Function
from edgefn.box.replica import Replica
from edgefn.box.totals import Totals
from edgefn.desired.report import (
    MAX_REASON_CHARACTERS,
    BoxReport,
    FunctionReport,
    FunctionState,
    LinkReport,
    VariantReport,
)
from edgefn_runtime.variant import Variant

_LEFT_OUT: Final = " ... "


class Overdue(NamedTuple):
    """Why a function is not what the hub wants."""

    state: FunctionState
    reason: str


class Followed(NamedTuple):
    """How far a box came with what its hub wants.

    Attributes:
        epoch: Of the desired state.
        revision: Of it, up to which everything was tried.
        overdue: Functions that are not there as they are wanted.
        in_cluster: Whether the machine is in the Ray cluster.
    """

    epoch: str = ""
    revision: int = 0
    overdue: Mapping[str, Overdue] = {}
    in_cluster: bool = False


def build_report(
    config: BoxConfig,
    *,
    boot_id: str,
    started_s: float,
    address: str,
    functions: Iterable[Function],
    replicas: Iterable[Replica],
    totals: Totals,
    followed: Followed,
) -> BoxReport:
    """Returns the report of a box.

    Args:
        config: Of the box.
        boot_id: Another one after each start.
        started_s: Seconds since 1970.
        address: Where others can dial it with TLS, as `host:port`; empty: nowhere.
        functions: That it knows.
        replicas: All of the box.
        totals: What gateways reported.
        followed: How far it came. For a hub, which wants what it has, just `in_cluster` counts.
    """
    live = list(replicas)
    known = {
        function.serving.function: _function(function, live, totals, followed.overdue)
        for function in functions
    }
    for name, overdue in followed.overdue.items():
        known.setdefault(
            name, FunctionReport(name=name, state=overdue.state, reason=_told(overdue.reason))
        )
    return BoxReport(
        box=config.name,
        tier=config.tier,
        site=config.site or config.name,
        version=edgefn.__version__,
        boot_id=boot_id,
        epoch=followed.epoch,
        revision=followed.revision,
        address=address,
        has_ray=followed.in_cluster,
        functions=tuple(known[name] for name in sorted(known)),
        links=_links(totals),
        started_s=started_s,
    )


def _links(totals: Totals) -> tuple[LinkReport, ...]:
    return tuple(
        LinkReport(
            box=place["name"],
            tier=place["tier"],
            up=place["up"],
            rtt_s=place["rtt_ms"] / 1000.0,
        )
        for place in totals.places()
    )


def _function(
    function: Function,
    replicas: list[Replica],
    totals: Totals,
    overdue: Mapping[str, Overdue],
) -> FunctionReport:
    revision = function.serving
    counts = totals.functions[revision.function]
    state, reason = overdue.get(revision.function) or _state_of(function)
    return FunctionReport(
        name=revision.function,
        digest=revision.digest,
        state=state,
        reason=_told(reason),
        variants=tuple(
            _variant(function, variant, replicas) for variant in revision.manifest.variants
        ),
        calls=counts.calls,
        misses=counts.misses.total(),
    )


def _state_of(function: Function) -> Overdue:
    if function.serving.elsewhere:
        return Overdue("elsewhere", function.serving.elsewhere)
    if reason := function.quarantined_because:
        return Overdue("quarantined", reason)
    return Overdue("serving", "")


def _variant(function: Function, variant: Variant, replicas: list[Replica]) -> VariantReport:
    route = function.variant_route(variant)
    return VariantReport(
        name=variant.name,
        wanted=function.wanted.get(variant.name, 0),
        replicas=sum(
            replica.state == "ready" and replica.variant == variant and function.serves(replica)
            for replica in replicas
        ),
        leases=function.leases.get(variant.name, 0),
        refused=_told(route.reason) if route.state == "unavailable" else "",
    )


def _told(reason: str) -> str:
    """Returns a reason in the length that a report may have; the end says more than the middle."""
    if len(reason) <= MAX_REASON_CHARACTERS:
        return reason
    half = (MAX_REASON_CHARACTERS - len(_LEFT_OUT)) // 2
    return reason[:half] + _LEFT_OUT + reason[-half:]
