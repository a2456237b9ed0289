"""What a box has counted since it started, as the admin API spells it."""

import msgspec


class SentCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls were sent to a variant at a place, and for what purpose.

    Attributes:
        variant: Its name.
        place: Name of a peer; empty for the box itself.
        purpose: `first`, or `hedge`, `retry` or `escalation`.
        count: Since the box started.
    """

    variant: str
    place: str = ""
    purpose: str = "first"
    count: int = 0


class FunctionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed function. Sums go on from the start of the box; gauges are as of now.

    Attributes:
        name: Under which it is called.
        state: `serving` or `quarantined`.
        outcomes: Calls by HTTP status.
        variants: Calls that were answered, by variant.
        sent: Where calls were sent; one that was sent again counts for each time.
        refused: Calls that were sent nowhere, by error code.
        degraded: Results below the function's floor of accuracy.
        forwarded_in: Calls that peers sent here; they count as outcomes there.
        misses: Calls that were not answered in time, by cause.
        latency_buckets: Results by duration: one count for each of the box's `latency_edges_s`, and
            one for the rest.
        latency_sum_s: Sum of those durations.
        queue_sum_s: Time that calls waited in replicas, summed.
        service_sum_s: Time that their batches ran, summed over calls.
        cold_starts: Calls that waited for a replica to start.
        ongoing: Calls at a replica now.
        waiting: Calls that wait for a first replica now.
        deaths: Of replicas.
        replicas: How many there are now, by variant and state.
    """

    name: str
    state: str = "serving"
    outcomes: dict[int, int] = {}
    variants: dict[str, int] = {}
    sent: tuple[SentCount, ...] = ()
    refused: dict[str, int] = {}
    degraded: int = 0
    forwarded_in: int = 0
    misses: dict[str, int] = {}
    latency_buckets: tuple[int, ...] = ()
    latency_sum_s: float = 0.0
    queue_sum_s: float = 0.0
    service_sum_s: float = 0.0
    cold_starts: int = 0
    ongoing: int = 0
    waiting: int = 0
    deaths: int = 0
    replicas: dict[str, dict[str, int]] = {}


class PlaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that the box is or was linked with.

    Attributes:
        name: Of its box.
        tier: Of its box.
        up: Whether a link to it is up.
        rtt_ms: What a small call spends in the network there and back; 0 if that is not known.
        calls: Of this box that are under way there.
    """

    name: str
    tier: str = ""
    up: bool = False
    rtt_ms: float = 0.0
    calls: int = 0


class BoxCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A box.

    Attributes:
        box: Its name.
        tier: Its tier.
        at_s: When this was read, on its monotonic clock.
        connections: From callers, now.
        latency_edges_s: Upper edges of the histograms' buckets.
        places: Its peers.
        functions: All that are deployed.
    """

    box: str
    tier: str
    at_s: float
    connections: int = 0
    latency_edges_s: tuple[float, ...] = ()
    places: tuple[PlaceStatus, ...] = ()
    functions: tuple[FunctionCounts, ...] = ()
