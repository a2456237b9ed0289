"""The metrics of a box in the Prometheus text format; every name and label is here."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from edgefn.box.deaths import DeathCause
from edgefn.box.functions import Function
from edgefn.box.replica import Replica, ReplicaState
from edgefn.box.totals import FunctionTotals, Totals
from edgefn.gateway.control import LATENCY_EDGES_S

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_LIVE_STATES: Final = tuple(s for s in get_args(ReplicaState) if s != "gone")


class BoxCollector(Collector):
    """Reads a snapshot of a box as metric families.

    Args:
        version: Of edgefn.
        functions: What is deployed.
        replicas: All of the box.
        totals: What gateways reported.
        gateways: Numbers of the gateways that accept connections.
        events: Each destination of events, how many wait, and how many were delivered.
    """

    def __init__(
        self,
        *,
        version: str,
        functions: Iterable[Function],
        replicas: Iterable[Replica],
        totals: Totals,
        gateways: Iterable[int],
        events: Iterable[tuple[str, int, int]] = (),
    ) -> None:
        self._version = version
        self._functions = list(functions)
        self._replicas = list(replicas)
        self._totals = totals
        self._gateways = list(gateways)
        self._events_of = list(events)

    def collect(self) -> Iterator[Metric]:
        """Yields every family."""
        yield InfoMetricFamily(
            "edgefn_build", "The running version", value={"version": self._version}
        )
        yield self._gateway_connections()
        yield from self._peers()
        yield self._calls()
        yield self._variant_calls()
        yield self._decisions()
        yield self._refusals()
        yield self._durations()
        yield from self._sums()
        yield from self._gauges()
        yield from self._reserves()
        yield self._replica_states()
        yield self._deaths()
        yield from self._events()

    def _gateway_connections(self) -> Metric:
        family = GaugeMetricFamily(
            "edgefn_gateway_connections", "Open client connections", labels=["gateway"]
        )
        for gateway in self._gateways:
            family.add_metric([str(gateway)], self._totals.connections(gateway))
        return family

    def _peers(self) -> Iterator[Metric]:
        labels = ["peer", "tier"]
        up = GaugeMetricFamily("edgefn_peer_up", "1 if a link to it is up", labels=labels)
        rtt = GaugeMetricFamily(
            "edgefn_peer_rtt_seconds",
            "What a small call spends on the way there and back",
            labels=labels,
        )
        ongoing = GaugeMetricFamily("edgefn_peer_ongoing_calls", "Calls there now", labels=labels)
        for peer in self._totals.places():
            values = [peer["name"], peer["tier"]]
            up.add_metric(values, peer["up"])
            ongoing.add_metric(values, peer["calls"])
            if peer["rtt_ms"]:
                rtt.add_metric(values, peer["rtt_ms"] / 1000)
        yield from (up, rtt, ongoing)

    def _events(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "edgefn_events_waiting", "Events that are not delivered", labels=["destination"]
        )
        delivered = CounterMetricFamily(
            "edgefn_events_delivered", "Events that were delivered", labels=["destination"]
        )
        for destination, waits, arrived in self._events_of:
            waiting.add_metric([destination], waits)
            delivered.add_metric([destination], arrived)
        yield waiting
        yield delivered

    def _calls(self) -> Metric:
        family = CounterMetricFamily(
            "edgefn_calls", "Calls answered, by HTTP status", labels=["function", "status"]
        )
        for name, totals in self._counted():
            for status, count in sorted(totals.outcomes.items()):
                family.add_metric([name, str(status)], count)
        return family

    def _variant_calls(self) -> Metric:
        family = CounterMetricFamily(
            "edgefn_variant_calls",
            "Calls that replicas answered, by variant",
            labels=["function", "variant"],
        )
        for name, totals in self._counted():
            for variant, count in sorted(totals.variants.items()):
                family.add_metric([name, variant], count)
        return family

    def _decisions(self) -> Metric:
        family = CounterMetricFamily(
            "edgefn_decisions",
            "Sendings of calls, by variant, place (a peer, or here) and purpose",
            labels=["function", "variant", "place", "purpose"],
        )
        for name, totals in self._counted():
            for (variant, place, purpose), count in sorted(totals.sent.items()):
                family.add_metric([name, variant, place or "here", purpose], count)
        return family

    def _refusals(self) -> Metric:
        family = CounterMetricFamily(
            "edgefn_refused", "Calls that were sent nowhere, by code", labels=["function", "code"]
        )
        for name, totals in self._counted():
            for code, count in sorted(totals.refused.items()):
                family.add_metric([name, code], count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "edgefn_call_duration_seconds",
            "From the request's head to the answer, in the gateway",
            labels=["function"],
        )
        edges = [*(str(edge_s) for edge_s in LATENCY_EDGES_S), "+Inf"]
        for name, totals in self._counted():
            buckets, count = [], 0
            for edge, in_bucket in zip(edges, totals.latency_buckets, strict=True):
                count += in_bucket
                buckets.append((edge, count))
            family.add_metric([name], buckets, sum_value=totals.latency_sum_s)
        return family

    def _sums(self) -> Iterator[Metric]:
        misses = CounterMetricFamily(
            "edgefn_sla_miss", "Calls not answered in time, by cause", labels=["function", "cause"]
        )
        queue = CounterMetricFamily(
            "edgefn_queue_seconds", "Time that calls waited in replicas", labels=["function"]
        )
        service = CounterMetricFamily(
            "edgefn_service_seconds", "Time that calls' batches ran", labels=["function"]
        )
        cold = CounterMetricFamily(
            "edgefn_cold_starts", "Calls that waited for a replica to start", labels=["function"]
        )
        degraded = CounterMetricFamily(
            "edgefn_degraded", "Results below the floor of accuracy", labels=["function"]
        )
        forwarded = CounterMetricFamily(
            "edgefn_forwarded_in", "Calls that peers sent here", labels=["function"]
        )
        for name, totals in self._counted():
            forwarded.add_metric([name], totals.forwarded_in)
            degraded.add_metric([name], totals.degraded)
            for cause, count in sorted(totals.misses.items()):
                misses.add_metric([name, cause], count)
            queue.add_metric([name], totals.queue_sum_s)
            service.add_metric([name], totals.service_sum_s)
            cold.add_metric([name], totals.cold_starts)
        yield from (misses, degraded, forwarded, queue, service, cold)

    def _gauges(self) -> Iterator[Metric]:
        ongoing = GaugeMetricFamily(
            "edgefn_ongoing_calls", "Calls at a replica now", labels=["function"]
        )
        waiting = GaugeMetricFamily(
            "edgefn_waiting_calls", "Calls waiting for a first replica now", labels=["function"]
        )
        quarantined = GaugeMetricFamily(
            "edgefn_quarantined", "1 if its replicas are not started any more", labels=["function"]
        )
        for function in self._functions:
            name = function.serving.function
            ongoing.add_metric([name], self._totals.ongoing(name))
            waiting.add_metric([name], self._totals.waiting(name))
            quarantined.add_metric([name], bool(function.quarantined_because))
        yield from (ongoing, waiting, quarantined)

    def _reserves(self) -> Iterator[Metric]:
        reserve = GaugeMetricFamily(
            "edgefn_spill_reserve_replicas",
            "Replicas that the next tier is asked to have ready",
            labels=["function"],
        )
        reserved = GaugeMetricFamily(
            "edgefn_spill_reserved_replicas",
            "Replicas that lower tiers ask this box to have ready",
            labels=["function"],
        )
        for function in self._functions:
            name = function.serving.function
            reserve.add_metric([name], function.reserve)
            reserved.add_metric([name], function.reserved)
        yield from (reserve, reserved)

    def _replica_states(self) -> Metric:
        family = GaugeMetricFamily(
            "edgefn_replicas",
            "Replicas, by variant and state",
            labels=["function", "variant", "state"],
        )
        for function in self._functions:
            name = function.serving.function
            live = Counter(
                (replica.variant.name, replica.state)
                for replica in self._replicas
                if replica.revision.function == name
            )
            # Most of a dozen variants never have one: only the preferred is told without any.
            for variant in sorted({function.serving.default.name, *(name for name, _ in live)}):
                for state in _LIVE_STATES:
                    family.add_metric([name, variant, state], live[variant, state])
        return family

    def _deaths(self) -> Metric:
        family = CounterMetricFamily(
            "edgefn_replica_deaths",
            "Replicas that ended without being asked to, by cause",
            labels=["function", "cause"],
        )
        for name, totals in self._counted():
            for cause in get_args(DeathCause):
                family.add_metric([name, cause], totals.deaths[cause])
        return family

    def _counted(self) -> list[tuple[str, FunctionTotals]]:
        return sorted(self._totals.functions.items())


def render(collector: BoxCollector) -> bytes:
    """Returns the text that Prometheus reads; its content type is `CONTENT_TYPE`."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)
