"""Runs a fleet through its virtual time: calls come in, boxes crash and return, all is counted."""

from collections.abc import Callable, Iterator

from edgefn.simulate.engine.call import Flight
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.fleet import Fleet
from edgefn.simulate.engine.ports import Arrivals, Crash, Faults, PolicyFactory
from edgefn.simulate.engine.scaling import SiteScaling
from edgefn.simulate.engine.site import Site
from edgefn.simulate.engine.truth import Truth

Progress = Callable[[float], None]  # of the virtual time


class Simulation:
    """One run of a fleet that was just built.

    Args:
        fleet: Without replicas.
        policy: Makes that of each site.
        faults: The same that the fleet was built with.
    """

    def __init__(self, fleet: Fleet, policy: PolicyFactory, faults: Faults) -> None:
        self._fleet = fleet
        self._until_s = fleet.scenario.duration_s
        self._scalings: list[SiteScaling] = []
        for site in fleet.sites:
            site.use(policy(site.name, Truth(site)))
        for site in fleet.sites:
            if fleet.scenario.scaling == "scaler":
                self._scalings.append(SiteScaling(site, fleet))
            else:
                self._open_all(site)
        for site in fleet.sites:
            site.connect_peers(0.0)
            for peer in site.peers.values():
                peer.start()
        self._crashes: Iterator[Crash] = iter(faults.crashes())
        self._expect_crash()

    def run(self, arrivals: Arrivals, progress: Progress) -> None:
        """Lets all calls come in, and goes on until it is known what became of each."""
        agenda, sites, tally = self._fleet.agenda, self._fleet.sites, self._fleet.tally
        run_until = agenda.run_until
        told_s = 0.0
        for arrival in arrivals:
            now_s = arrival[0]
            run_until(now_s)
            sites[arrival[1]].called(arrival)
            if now_s - told_s >= 1.0:
                told_s = now_s
                tally.log.flush()
                progress(now_s)
        agenda.run_until(self._until_s)
        while tally.open and len(agenda):
            agenda.run_next()
        progress(self._until_s)

    def replica_s(self) -> float:
        """Returns replicas times seconds after the warm-up, starting ones included."""
        if self._scalings:
            return sum(one.replica_s for one in self._scalings)
        scenario = self._fleet.scenario
        count = sum(len(one.replicas) for one in self._fleet.devices)
        for second in self._fleet.tally.seconds:
            second.replicas = float(count)
        return count * (scenario.duration_s - scenario.warm_up_s)

    def _open_all(self, site: Site) -> None:
        """Has every variant answer wherever it is served, for good."""
        for device in site.devices:
            for function in self._fleet.functions:
                for model in function.model.variants:
                    if site.tier in model.tiers:
                        self._fleet.open(site, device, function.name, model, 0)
        self._fleet.tell_table(0.0, site)
        for device in site.devices:
            for replica in device.replicas:
                site.connect(0.0, replica)

    def _expect_crash(self) -> None:
        crash = next(self._crashes, None)
        if crash is not None and crash.at_s < self._until_s:
            self._fleet.agenda.at(crash.at_s, self._crash, crash)

    def _crash(self, now_s: float, crash: Crash) -> None:
        device = self._fleet.devices[crash.box]
        site = self._fleet.sites[device.box.site]
        lost = device.crash(now_s)
        self._fleet.agenda.at(now_s + site.half_trip_s, self._missed, (site, device, lost))
        self._fleet.agenda.at(crash.until_s, self._back, (site, device))
        self._expect_crash()

    def _missed(self, now_s: float, what: tuple[Site, Device, list[Flight]]) -> None:
        """The gateway notices that a box is gone."""
        site, device, lost = what
        for replica in device.replicas:
            site.disconnect(now_s, replica)
        if self._scalings:
            self._scalings[site.index].box_is_gone(now_s, device)
        for flight in lost:
            site.lost(now_s, flight)

    def _back(self, now_s: float, what: tuple[Site, Device]) -> None:
        site, device = what
        device.up = True
        for replica in device.replicas:
            replica.queue = self._fleet.queue_of(device)
            self._fleet.agenda.at(now_s + replica.model.load_s, site.connect, replica)
