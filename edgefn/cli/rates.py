"""What a box did between two readings of its counts: rates, shares and quantiles."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from edgefn.client.counts import BoxCounts, FunctionCounts, PlaceStatus, SentCount

# The caller's fault, or the caller left: no answer could have been in time.
_NOT_OURS = frozenset(range(400, 500)) - {408, 429}

Key = TypeVar("Key")


class FunctionRates(msgspec.Struct, frozen=True, kw_only=True):
    """One function.

    Attributes:
        name: Under which it is called.
        state: `serving` or `quarantined`.
        calls_per_s: Answered, in whatever way.
        attainment: Share of the calls that were answered in time; None of no call.
        p50_ms: Quantiles of the results' durations, interpolated in a histogram's bucket; None of
            no result.
        p99_ms: See `p50_ms`.
        queue_ms: Mean time that a result's call waited in its replica; None of no result.
        run_ms: Mean time that its batch ran; None of no result.
        ongoing: Calls at a replica now.
        waiting: Calls that wait for a first replica now.
        errors_per_s: Calls that were answered with a 5xx status.
        misses_per_s: By cause.
        variants: Share of the answers, by variant.
        sent: Share of the sendings, by variant, as in `int8`, or `int8@hub` for those to a peer.
        again_per_s: Sendings beyond the first, by purpose.
        refused_per_s: Calls that were sent nowhere, by error code.
        replicas: How many there are now, by variant and state.
        cold_starts: Calls that waited for a replica to start.
        deaths: Of replicas.
    """

    name: str
    state: str
    calls_per_s: float
    attainment: float | None
    p50_ms: float | None
    p99_ms: float | None
    queue_ms: float | None
    run_ms: float | None
    ongoing: int
    waiting: int
    errors_per_s: float
    misses_per_s: dict[str, float]
    variants: dict[str, float]
    sent: dict[str, float]
    again_per_s: dict[str, float]
    refused_per_s: dict[str, float]
    replicas: dict[str, dict[str, int]]
    cold_starts: int
    deaths: int


class BoxRates(msgspec.Struct, frozen=True, kw_only=True):
    """A box, over the time between two readings."""

    box: str
    tier: str
    over_s: float
    connections: int
    calls_per_s: float
    attainment: float | None
    functions: tuple[FunctionRates, ...]
    places: tuple[PlaceStatus, ...] = ()


def rates(before: BoxCounts, now: BoxCounts) -> BoxRates:
    """Returns what happened between two readings.

    A box or function that has counted less than before has started anew: then all of what it has
    counted is new.
    """
    over_s = now.at_s - before.at_s
    if over_s <= 0.0:
        before, over_s = BoxCounts(box=now.box, tier=now.tier, at_s=0.0), max(now.at_s, 1e-9)
    earlier = {one.name: one for one in before.functions}
    functions, calls, misses = [], 0, 0
    for one in now.functions:
        since = _since(earlier.get(one.name, FunctionCounts(name=one.name)), one)
        functions.append(_rates(since, now.latency_edges_s, over_s))
        calls += _ours(since)
        misses += sum(since.misses.values())
    return BoxRates(
        box=now.box,
        tier=now.tier,
        over_s=over_s,
        connections=now.connections,
        calls_per_s=sum(one.calls_per_s for one in functions),
        attainment=_share_in_time(calls, misses),
        functions=tuple(functions),
        places=now.places,
    )


def _since(before: FunctionCounts, now: FunctionCounts) -> FunctionCounts:
    if sum(now.outcomes.values()) < sum(before.outcomes.values()):
        before = FunctionCounts(name=now.name)
    had = before.latency_buckets
    if len(had) != len(now.latency_buckets):  # a box of another version took its place
        had = (0,) * len(now.latency_buckets)
    return msgspec.structs.replace(
        now,
        outcomes=_difference(before.outcomes, now.outcomes),
        variants=_difference(before.variants, now.variants),
        sent=_sent_since(before.sent, now.sent),
        refused=_difference(before.refused, now.refused),
        misses=_difference(before.misses, now.misses),
        latency_buckets=tuple(n - o for o, n in zip(had, now.latency_buckets, strict=True)),
        queue_sum_s=now.queue_sum_s - before.queue_sum_s,
        service_sum_s=now.service_sum_s - before.service_sum_s,
        cold_starts=now.cold_starts - before.cold_starts,
        deaths=now.deaths - before.deaths,
    )


def _difference(before: Mapping[Key, int], now: Mapping[Key, int]) -> dict[Key, int]:
    counted = {key: count - before.get(key, 0) for key, count in now.items()}
    return {key: count for key, count in counted.items() if count > 0}


def _sent_since(before: Iterable[SentCount], now: Iterable[SentCount]) -> tuple[SentCount, ...]:
    had = {(one.variant, one.place, one.purpose): one.count for one in before}
    return tuple(
        msgspec.structs.replace(
            one, count=one.count - had.get((one.variant, one.place, one.purpose), 0)
        )
        for one in now
    )


def _rates(since: FunctionCounts, edges_s: Sequence[float], over_s: float) -> FunctionRates:
    results = sum(since.latency_buckets)
    answered = sum(since.variants.values())
    sent, again = _sendings(since.sent)
    failed = sum(count for status, count in since.outcomes.items() if status >= 500)
    return FunctionRates(
        name=since.name,
        state=since.state,
        calls_per_s=sum(since.outcomes.values()) / over_s,
        attainment=_share_in_time(_ours(since), sum(since.misses.values())),
        p50_ms=quantile_ms(since.latency_buckets, edges_s, 0.5),
        p99_ms=quantile_ms(since.latency_buckets, edges_s, 0.99),
        queue_ms=since.queue_sum_s / results * 1000 if results else None,
        run_ms=since.service_sum_s / results * 1000 if results else None,
        ongoing=since.ongoing,
        waiting=since.waiting,
        errors_per_s=failed / over_s,
        misses_per_s={cause: count / over_s for cause, count in since.misses.items()},
        variants={name: count / answered for name, count in since.variants.items()},
        sent={name: count / sent.total() for name, count in sent.items()},
        again_per_s={purpose: count / over_s for purpose, count in again.items()},
        refused_per_s={code: count / over_s for code, count in since.refused.items()},
        replicas=since.replicas,
        cold_starts=since.cold_starts,
        deaths=since.deaths,
    )


def _sendings(sent: Iterable[SentCount]) -> tuple[Counter[str], Counter[str]]:
    """Returns sendings by variant and place, and those beyond the first by purpose."""
    where: Counter[str] = Counter()
    again: Counter[str] = Counter()
    for one in sent:
        if one.count:
            where[f"{one.variant}@{one.place}" if one.place else one.variant] += one.count
            if one.purpose != "first":
                again[one.purpose] += one.count
    return where, again


def _ours(since: FunctionCounts) -> int:
    return sum(count for status, count in since.outcomes.items() if status not in _NOT_OURS)


def _share_in_time(calls: int, misses: int) -> float | None:
    return max(0.0, 1.0 - misses / calls) if calls else None


def quantile_ms(buckets: Sequence[int], edges_s: Sequence[float], share: float) -> float | None:
    """Returns a quantile of a histogram, interpolated within its bucket; None of nothing.

    Args:
        buckets: A count for each edge, and one for the rest, of which only the edge is known.
        edges_s: Upper edges, rising.
        share: Which quantile, from 0 to 1.
    """
    wanted, low_s = sum(buckets) * share, 0.0
    if not wanted:
        return None
    for count, edge_s in zip(buckets, edges_s, strict=False):
        if wanted <= count:
            return (low_s + (edge_s - low_s) * wanted / count) * 1000
        wanted -= count
        low_s = edge_s
    return low_s * 1000
