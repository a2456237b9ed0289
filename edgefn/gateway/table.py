"""What the router is told of deployed functions: from the box's routes, and what peers have."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from edgefn.gateway.control import FunctionRoute, VariantRoute
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment
from edgefn_runtime.variant import Latency

_Z95: Final = 1.645  # a normal distribution's p95 in standard deviations
_LEAST_CV, _MOST_CV = 0.02, 1.0


class PeerEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of one function at a peer.

    Attributes:
        function: Its name.
        digest: Of the bundle that the peer serves; calls go there while this box serves the same.
        variant: Of the bundle.
        endpoint: What the router is told; `endpoint.place` is the peer's.
    """

    function: str
    digest: str
    variant: str
    endpoint: DeployedEndpoint


def deployment_of(route: FunctionRoute, peers: Iterable[PeerEndpoint] = ()) -> Deployment:
    """Returns what the router is told of one function.

    Args:
        route: As the box told it.
        peers: What is at peers, of whatever function.
    """
    spec = route.spec
    same = [one for one in peers if one.function == route.name and one.digest == route.digest]
    return Deployment(
        name=route.name,
        revision=route.revision,
        variants=tuple(_variant(route, one, same) for one in route.variants),
        default=route.default,
        objective=spec.objective,
        min_accuracy=spec.min_accuracy,
        degrade=spec.degrade,
        tiers=spec.tiers,
        max_batch=spec.batch,
        idempotent=spec.idempotent,
        escalate_below=spec.escalate_below,
    )


def endpoints_of(deployments: Iterable[Deployment]) -> Iterator[str]:
    """Yields the names of all endpoints."""
    for deployment in deployments:
        for variant in deployment.variants:
            for endpoint in variant.endpoints:
                yield endpoint.name


def _variant(
    route: FunctionRoute, one: VariantRoute, peers: Sequence[PeerEndpoint]
) -> DeployedVariant:
    name, measured = one.variant.name, one.variant.measured
    latencies = measured.latencies if measured is not None else ()
    fixed_s, each_s = fit(latencies)
    return DeployedVariant(
        name=name,
        endpoints=(
            *(DeployedEndpoint(name=r.replica) for r in route.replicas if r.variant == name),
            *(peer.endpoint for peer in peers if peer.variant == name),
        ),
        accuracy=one.variant.accuracy,
        unavailable=one.reason if one.state == "unavailable" else "",
        quarantined=one.reason if one.state == "quarantined" else "",
        load_s=one.load_s,
        fixed_s=fixed_s,
        each_s=each_s,
        cv=spread(latencies),
    )


def fit(latencies: Sequence[Latency]) -> tuple[float, float]:
    """Returns `fixed_s` and `each_s` of `fixed_s + n * each_s`, by least squares.

    Neither is negative. Of a single size nothing is known of what a batch saves: then `fixed_s` is
    0, which promises least.
    """
    if not latencies:
        return 0.0, 0.0
    count = len(latencies)
    x = sum(one.batch for one in latencies) / count
    y = sum(one.p50_s for one in latencies) / count
    spread_x = sum((one.batch - x) ** 2 for one in latencies)
    if not spread_x:
        return 0.0, y / x
    each_s = sum((one.batch - x) * (one.p50_s - y) for one in latencies) / spread_x
    if each_s <= 0.0:
        return y, 0.0
    fixed_s = y - each_s * x
    return (fixed_s, each_s) if fixed_s >= 0.0 else (0.0, y / x)


def spread(latencies: Sequence[Latency]) -> float:
    """Returns the coefficient of variation that the smallest batch's p50 and p95 suggest."""
    smallest = min(latencies, key=lambda one: one.batch, default=None)
    if smallest is None or smallest.p50_s <= 0.0:
        return 0.1
    cv = (smallest.p95_s / smallest.p50_s - 1.0) / _Z95
    return min(_MOST_CV, max(_LEAST_CV, cv))
