"""What is simulated: places, functions, networks, faults and the load, as a person writes it.

The structs are the file format: a TOML document with these names (`edgefn simulate FILE`).
"""

from typing import Literal

import msgspec

from edgefn_runtime.manifest import Objective


class VariantModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant as it behaves on a box of speed 1.

    Attributes:
        name: Unique in its function.
        tiers: Where it is served.
        accuracy: Of its answers.
        fixed_s: A batch of n runs for `fixed_s + n * each_s`,
        each_s: times lognormal noise
        cv: with this coefficient of variation.
        cost: Of one call, in any unit.
        energy_j: Of one call.
        prefix_s: Work at the caller's site before it is sent (a split model).
        bytes_factor: What of a call's bytes is then sent.
        load_s: Time that a replica takes to start.
        memory_bytes: Of a replica.
    """

    name: str
    tiers: tuple[str, ...] = ("edge",)
    accuracy: float = 1.0
    fixed_s: float = 0.0
    each_s: float
    cv: float = 0.0
    cost: float = 0.0
    energy_j: float = 0.0
    prefix_s: float = 0.0
    bytes_factor: float = 1.0
    load_s: float = 0.03
    memory_bytes: int = 15_000_000


class FunctionModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One function.

    Attributes:
        name: Unique.
        deadline_s: Of its calls; 0: none.
        min_accuracy: Floor.
        objective: As declared.
        idempotent: Whether a call may run twice.
        priority: Of its calls.
        share: Of the workload's calls, relative to the others; 0: by the workload's popularity.
        trace: CSV, or file of the Azure formats, that its calls are taken from; empty: synthetic.
        variants: The preferred one first.
    """

    name: str
    deadline_s: float = 0.0
    min_accuracy: float = 0.0
    objective: Objective = "latency"
    idempotent: bool = True
    priority: int = 5
    share: float = 0.0
    trace: str = ""
    variants: tuple[VariantModel, ...]


class BoxModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One box: a device on which the replicas of all its functions take turns.

    Attributes:
        count: So many alike.
        speed: Work of one second takes `1 / speed` seconds.
        cores: Batches that run at the same time.
        max_batch: Most calls of a batch.
        memory_bytes: For replicas; 0: no limit.
        straggles_for_s: Mean of the times in which it runs at `straggles_at` of its speed,
        straggles_every_s: and of the gaps between them (both exponential); 0: never.
        straggles_at: See there.
        straggler_only_first: Of `count`, only the first one straggles.
        crashes_every_s: Mean time between losses of all that it holds; 0: never.
        down_for_s: How long it is gone then.
    """

    count: int = 1
    speed: float = 1.0
    cores: int = 1
    max_batch: int = 1
    memory_bytes: int = 0
    straggles_for_s: float = 0.0
    straggles_every_s: float = 0.0
    straggles_at: float = 0.35
    straggler_only_first: bool = False
    crashes_every_s: float = 0.0
    down_for_s: float = 10.0


class SiteModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One site: boxes that are near each other, and a router if calls come in there.

    Attributes:
        name: Unique.
        count: So many alike, called `name-1`, `name-2`...
        tier: Of its boxes.
        calls: Whether calls come in here; its share of the load, relative to other sites.
        boxes: In groups of equal ones.
    """

    name: str
    count: int = 1
    tier: str = "edge"
    calls: float = 1.0
    boxes: tuple[BoxModel, ...]


class LinkModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The network between sites, by tier.

    Attributes:
        between: Two tiers; `("edge", "edge")` is between different edge sites.
        rtt_s: Round trip, times lognormal noise
        cv: with this coefficient of variation.
        bits_per_s: Rate.
        spike_share: Share of messages whose trip takes `spike_factor` times as long.
        spike_factor: See there.
        bad_for_s: Mean length of bad states (Gilbert-Elliott),
        bad_every_s: and of the gaps between them; 0: never.
        bad_rtt_factor: What the round trip is multiplied by then,
        bad_bits_per_s: and the rate.
        outage_share: Share of bad states in which nothing comes through.
    """

    between: tuple[str, str]
    rtt_s: float
    cv: float = 0.0
    bits_per_s: float = 100e6
    spike_share: float = 0.0
    spike_factor: float = 2.5
    bad_for_s: float = 0.0
    bad_every_s: float = 0.0
    bad_rtt_factor: float = 3.0
    bad_bits_per_s: float = 12e6
    outage_share: float = 0.0


class Bursts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times of higher rate, by site: times a factor that is uniform from `low` to `high`."""

    low: float = 1.8
    high: float = 3.5
    mean_s: float = 4.0
    every_s: float = 22.0


class FlashCrowd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rate of one function, or of all, is `factor` times as high for a while."""

    at_s: float
    for_s: float
    factor: float = 10.0
    function: str = ""


class Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes of calls: lognormal around `median_bytes`, cut at `max_bytes`."""

    median_bytes: float = 50_000.0
    sigma: float = 0.6
    max_bytes: float = 400_000.0


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls of one ingress site of share 1; their arrivals are Gamma renewals in rescaled time.

    Attributes:
        calls_per_s: Of all functions together, at load 1.
        cv: Coefficient of variation of the times between calls of one function: 1 is Poisson.
        popularity: Zipf exponent of the functions, in their order.
        swing: The rate goes up and down by this share of it (a day),
        swing_s: within so many seconds, at another phase for each site.
        bursts: None: no bursts.
        crowds: Flash crowds.
        payload: Sizes of the calls.
    """

    calls_per_s: float
    cv: float = 1.0
    popularity: float = 0.9
    swing: float = 0.0
    swing_s: float = 86400.0
    bursts: Bursts | None = None
    crowds: tuple[FlashCrowd, ...] = ()
    payload: Payload = Payload()


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file.

    Attributes:
        name: For titles.
        duration_s: Of virtual time.
        warm_up_s: At the start; its calls are not counted.
        scaling: `fixed`: every variant has a replica wherever it is served, all the time; `scaler`:
            replicas are started and ended by the production scaler.
        functions: In order of popularity.
        sites: All.
        links: Between tiers; without one, two sites do not reach each other.
        local_rtt_s: From a site's router to its own boxes and back.
        workload: The load.
    """

    name: str
    duration_s: float = 60.0
    warm_up_s: float = 10.0
    scaling: Literal["fixed", "scaler"] = "fixed"
    functions: tuple[FunctionModel, ...]
    sites: tuple[SiteModel, ...]
    links: tuple[LinkModel, ...] = ()
    local_rtt_s: float = 0.002
    workload: Workload
