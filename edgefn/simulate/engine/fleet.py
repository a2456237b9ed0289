"""Builds the sites, boxes and links of a scenario, ready to run."""

from collections.abc import Callable
from typing import Final, Literal

from edgefn.routing.decisions import Rng
from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.fifo import FifoQueue
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.peer import Peer
from edgefn.simulate.engine.ports import Faults, Network, Path
from edgefn.simulate.engine.replica import Queue, Replica
from edgefn.simulate.engine.site import Site
from edgefn.simulate.engine.table import local_endpoint, peer_endpoint, table_of
from edgefn.simulate.engine.tally import Tally
from edgefn.simulate.engine.target import target
from edgefn.simulate.fleet import sites_of
from edgefn.simulate.scenario import Scenario, VariantModel
from edgefn_runtime.queue import CallQueue

QUEUE_LIMIT: Final = 1024  # as production replicas have it
NEAR_PEERS: Final = 2  # sites of the same tier that a site calls: the next ones
FAR_PEERS: Final = 4  # and of each other tier

QueueKind = Literal["edf", "fifo"]
Streams = Callable[[str, int], Rng]  # by purpose and index


class Fleet:
    """All sites of a scenario.

    Attributes:
        agenda: What is to happen.
        tally: What has come of it.
        functions: In their order.
        tiers: In their order.
        sites: In their order.
        devices: By index of the box.
    """

    def __init__(
        self,
        scenario: Scenario,
        network: Network,
        faults: Faults,
        *,
        queue: QueueKind,
        uniform: Streams,
        normal: Streams,
    ) -> None:
        self.scenario = scenario
        self.queue = queue
        self.agenda = Agenda(scenario.local_rtt_s / 2.0)
        self.functions = [Function(i, model) for i, model in enumerate(scenario.functions)]
        places = sites_of(scenario)
        self.tiers = tuple(dict.fromkeys(place.model.tier for place in places))
        self.tally = Tally(scenario, len(places))
        self.sites = [
            Site(
                place,
                self.functions,
                self.agenda,
                self.tally,
                rng=uniform("policy", place.index),
                luck=normal("messages", place.index),
                cancels_overdue=queue == "edf",
            )
            for place in places
        ]
        self.devices: list[Device] = []
        self._targets = 0
        for site in self.sites:
            self._furnish(site, faults)
        self._link(network)

    def open(
        self, site: Site, device: Device, function: str, model: VariantModel, number: int
    ) -> Replica:
        """Returns a new replica on a box, which takes no calls yet.

        Args:
            site: Of the box.
            device: The box.
            function: Its name.
            model: Of the variant.
            number: 0 if it is the only one of its variant there and may use all cores; else it has
                one core, and a name with this number.
        """
        name = local_endpoint(function, model.name, device.box.name)
        replica = Replica(
            f"{name}#{number}" if number else name,
            device,
            function,
            model,
            self.queue_of(device),
            1 if number else device.box.model.cores,
        )
        device.replicas.append(replica)
        site.targets[replica.endpoint] = target(
            self._number(), function, model, site.tier, replica=replica
        )
        return replica

    def queue_of(self, device: Device) -> Queue:
        """Returns an empty queue for a replica on a box."""
        max_batch = device.box.model.max_batch
        if self.queue == "fifo":
            return FifoQueue[Flight](max_batch=max_batch)
        return CallQueue[Flight](limit=QUEUE_LIMIT, max_batch=max_batch)

    def tell_table(self, now_s: float, site: Site) -> None:
        """Tells the policy of a site what there is to choose among."""
        site.policy.observe(now_s, table_of(site, self.functions, self.tiers))

    def _number(self) -> int:
        self._targets += 1
        return self._targets

    def _furnish(self, site: Site, faults: Faults) -> None:
        site.serving.starts = self.scenario.scaling == "scaler"
        for box in site.place.boxes:
            device = Device(
                box,
                self.agenda,
                self.tally,
                gateway=site,
                speed_at=faults.speed_of(box.index),
            )
            self.devices.append(device)
            site.devices.append(device)

    def _link(self, network: Network) -> None:
        paths: dict[tuple[int, int], Path | None] = {}

        def path(a: Site, b: Site) -> Path | None:
            key = (a.index, b.index)
            if key not in paths:
                paths[key] = network.path(*key)
            return paths[key]

        by_tier: dict[str, list[Site]] = {}
        for site in self.sites:
            by_tier.setdefault(site.tier, []).append(site)
        for site in self.sites:
            if not site.place.model.calls:
                continue
            for tier, others in by_tier.items():
                for other in _nearest(site, others, NEAR_PEERS if tier == site.tier else FAR_PEERS):
                    there, back = path(site, other), path(other, site)
                    if there is not None and back is not None:
                        self._introduce(site, other, there, back)

    def _introduce(self, site: Site, other: Site, there: Path, back: Path) -> None:
        peer = Peer(site, other, there, back, self.agenda, self.scenario.duration_s)
        site.peers[other.name] = peer
        other.callers.append(peer)
        for function in self.functions:
            for model in function.model.variants:
                if other.tier in model.tiers:
                    name = peer_endpoint(other.name, function.name, model.name)
                    made = target(self._number(), function.name, model, other.tier, peer=peer)
                    site.targets[name] = made
                    peer.offer(name, made)


def _nearest(site: Site, others: list[Site], count: int) -> list[Site]:
    """Returns the sites that come next in a ring, beginning where this one is, without it."""
    start = others.index(site) + 1 if site in others else site.index % len(others)
    ring = [*others[start:], *others[:start]]
    return [one for one in ring if one is not site][:count]
