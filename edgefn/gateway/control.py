"""What a box and its gateways tell each other.

One Unix stream socket pair for each gateway, inherited at its start; messages are framed by
`edgefn_runtime.lifecycle.pack`. A gateway holds nothing that the next one could not be told: it is
given the whole routing table at every change, and reports what it did as differences.
"""

from typing import Any, Final, Literal

import msgspec

from edgefn.access.table import AccessTable
from edgefn.gateway.fleet_tls import TlsFiles
from edgefn.scaling.demand import DemandReport
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import Variant

REPORT_S: Final = 0.2

DESIRED_PATH: Final = "/fleet/v1/desired"  # asked by each box of a fleet at all times, and waits
_MOST_PULLS: Final = 512
_MOST_ASKS: Final = 64

# Upper edges in seconds of the latency histogram: 1-2-5 from half a millisecond, since deadlines
# of calls are between a few milliseconds and a few seconds. One more bucket takes the rest.
LATENCY_EDGES_S: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


VariantState = Literal["available", "unavailable", "quarantined"]


class ReplicaRoute(msgspec.Struct, frozen=True):
    """A replica that takes calls."""

    replica: str
    variant: str
    socket: str


class VariantRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a deployed function.

    Attributes:
        variant: What the bundle says of it.
        state: `available` (it may have no replica: the first call for it starts one),
            `unavailable` on this box, or `quarantined`.
        reason: Why, if not available.
        load_s: How long its last replica took from fork to ready: the cold start to expect.
    """

    variant: Variant
    state: VariantState = "available"
    reason: str = ""
    load_s: float = 0.0


class FunctionRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed function and where its calls can go.

    Attributes:
        name: Under which it is called.
        revision: Serving now.
        spec: What was declared.
        schema: What goes in and out.
        variants: All of the bundle, the preferred one first.
        default: Name of the variant for calls that ask for none.
        replicas: Ready ones, of this revision.
        state: `serving`, or `quarantined` if the default variant is.
        reason: Why, if quarantined.
        digest: Of its bundle: a peer that serves the same one gives the same answers.
        reserve: Replicas that the next tier is asked to have ready, as this box may have no more.
    """

    name: str
    revision: int
    spec: FunctionSpec
    schema: FunctionSchema
    variants: tuple[VariantRoute, ...]
    default: str
    replicas: tuple[ReplicaRoute, ...]
    state: str = "serving"
    reason: str = ""
    digest: str = ""
    reserve: int = 0


class Routes(msgspec.Struct, frozen=True, tag="routes"):
    """The whole routing table, sent at every change."""

    version: int
    functions: tuple[FunctionRoute, ...]


class Upstreams(msgspec.Struct, frozen=True, tag="upstreams"):
    """Boxes to keep linked over TLS from now on, beside the hub: all of them, as `host:port`."""

    addresses: tuple[str, ...]


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The answer to an `Ask`."""

    id: int
    status: int
    body: bytes
    content_type: str = "application/json"


class StopAccepting(msgspec.Struct, frozen=True, tag="stop"):
    """Answer what is under way with `Connection: close`, then exit."""


class SentCount(msgspec.Struct, frozen=True, array_like=True):
    """How many calls were sent to a variant at a place (empty: this box), and for what purpose."""

    variant: str
    place: str
    purpose: str
    count: int


class FunctionReport(msgspec.Struct, kw_only=True):
    """What one gateway did for one function since its last report; `ongoing` is as of now.

    Attributes:
        name: Of the function.
        outcomes: Calls by HTTP status.
        variants: Calls that a replica answered, in whatever way, by variant.
        misses: Calls that were not answered in time, by cause: `network`, `queue`, `cold`,
            `compute`, `refused`.
        sent: Where the router sent calls; a call that was hedged, retried or escalated counts for
            each time.
        refused: Calls that never were sent, by error code.
        degraded: Results of a variant below the function's floor of accuracy.
        forwarded_in: Calls that peers sent here. They count as outcomes where their callers are.
        latency_buckets: Answered calls by duration, one count for each of `LATENCY_EDGES_S` and
            one for the rest.
        latency_sum_s: Sum of those durations.
        cold_starts: Calls that waited for a replica to start.
        queue_sum_s: Time that calls waited in replicas, summed.
        service_sum_s: Time that their batches ran, summed over calls.
        ongoing: Calls that are at a replica now.
        waiting: Calls that wait for a first replica now, by variant.
        replicas: Calls that each replica has now.
        demand: What calls wanted of each variant, answered here or not.
    """

    name: str
    outcomes: dict[int, int] = {}
    variants: dict[str, int] = {}
    misses: dict[str, int] = {}
    sent: tuple[SentCount, ...] = ()
    refused: dict[str, int] = {}
    degraded: int = 0
    forwarded_in: int = 0
    latency_buckets: list[int] = []
    latency_sum_s: float = 0.0
    cold_starts: int = 0
    queue_sum_s: float = 0.0
    service_sum_s: float = 0.0
    ongoing: int = 0
    waiting: dict[str, int] = {}
    replicas: dict[str, int] = {}
    demand: dict[str, DemandReport] = {}


class PlaceReport(msgspec.Struct, frozen=True):
    """A peer, as one gateway sees it.

    Attributes:
        name: Of its box.
        tier: Of its box.
        up: Whether a link to it is up.
        rtt_s: What a small call spends in the network there and back; 0 if that is not known.
        calls: Of this gateway that are under way there.
        reserves: By function, how many replicas it asks this box to have ready. All gateways that
            are linked with it are told the same.
    """

    name: str
    tier: str
    up: bool
    rtt_s: float = 0.0
    calls: int = 0
    reserves: dict[str, int] = {}


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Sent every `REPORT_S` if anything changed, and before an `Ask` for metrics or status.

    Attributes:
        gateway: Its number.
        functions: Those of which there is news.
        connections: From callers, now.
        places: All peers that were linked since its start, as of now.
    """

    gateway: int
    functions: tuple[FunctionReport, ...]
    connections: int
    places: tuple[PlaceReport, ...] = ()


class Wake(msgspec.Struct, frozen=True, tag="wake"):
    """A call waits for this variant of a function, which has no replica."""

    function: str
    variant: str


class Suspect(msgspec.Struct, frozen=True, tag="suspect"):
    """A replica does not answer, or its connection broke."""

    replica: str
    reason: str


class MarkedAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What the alerts of a function saw in an answer (`edgefn_runtime.alert_marks.Marks`)."""

    function: str
    source: str
    marks: bytes


class Marked(msgspec.Struct, frozen=True, tag="marked"):
    """The answers since the last time of functions that have alerts, oldest first."""

    answers: tuple[MarkedAnswer, ...]


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A request of an operator or of a box of the fleet, to be answered by the box.

    One that names another box in its query, as `box`, is for that: a gateway sends it if it has no
    link there, and the box hands it to one of its gateways that has.

    Attributes:
        id: Of the answer.
        method: Of HTTP.
        path: Without the query.
        query: By name.
        body: As it came.
        caller: Id of the key or token, or serial number of the certificate, that was shown; empty:
            none was.
        name: Of that key, or in that certificate.
    """

    id: int
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    caller: str = ""
    name: str = ""


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The gateway accepts connections."""

    gateway: int
    pid: int


class Routed(msgspec.Struct, frozen=True, tag="routed"):
    """Sent when a `Routes` is followed: no new call goes to a replica that it does not name.

    The box drains a replica only after it; without it, after a second.
    """

    version: int


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that a gateway is told at its start.

    Attributes:
        gateway: Its number on the box.
        box: Name of the box, for the `Edgefn-Box` header.
        tier: Tier of the box, for the `Edgefn-Tier` header.
        listen_fd: The listening socket, inherited.
        control_fd: Its end of the control socket, inherited.
        store: Folder of the blob store.
        max_connections: Above this, connections are refused with 503.
        max_body_bytes: Above this, bodies are refused with 413.
        header_timeout_s: From the first byte of a connection to the end of the request's head.
        body_timeout_s: For the body after the head.
        idle_timeout_s: A connection without a request is closed.
        site: Where the box stands.
        peer_fd: The listening socket for peers, inherited; -1: none.
        peers: Addresses of peers to dial, as `host:port`.
        secure_fd: The listening socket with TLS, inherited; -1: none.
        tls: Where certificates are.
        upstreams: Where the hub is that is to be dialled with TLS, as `host:port`.
    """

    gateway: int
    box: str
    tier: str
    listen_fd: int
    control_fd: int
    store: str
    max_connections: int = 1024
    max_body_bytes: int = 16 * 1024 * 1024
    header_timeout_s: float = 5.0
    body_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    site: str = ""
    peer_fd: int = -1
    peers: tuple[str, ...] = ()
    secure_fd: int = -1
    tls: TlsFiles = TlsFiles()
    upstreams: tuple[str, ...] = ()


FromBox = Routes | AccessTable | Upstreams | Ask | StopAccepting  # what a gateway is not answered
ToGateway = FromBox | Answered
FromGateway = Started | Routed | Report | Wake | Suspect | Marked | Ask | Answered


def most_asks(path: str) -> int:
    """Returns how many asks of this kind may wait for an answer of the box at once.

    Boxes that wait for news keep operators from nothing, nor the other way round.
    """
    return _MOST_PULLS if path == DESIRED_PATH else _MOST_ASKS


def new_report(name: str) -> FunctionReport:
    """Returns an empty report with a count for each latency bucket."""
    counts: list[Any] = [0] * (len(LATENCY_EDGES_S) + 1)
    return FunctionReport(name=name, latency_buckets=counts)
