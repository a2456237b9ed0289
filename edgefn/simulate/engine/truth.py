"""What is true of a fleet at an instant: an `Oracle` for policies that claim to know everything."""

from math import inf

from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.peer import REPLY_BYTES
from edgefn.simulate.engine.site import Site
from edgefn.simulate.engine.target import Target
from edgefn.simulate.scenario import VariantModel


class Truth:
    """Of one site, and of those that it can call."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._devices = {one.box.name: one for one in site.devices}

    def backlog_s(self, now_s: float, server: str) -> float:
        """See `Oracle`."""
        device = self._devices.get(server)
        if device is not None:
            return _wait_s(now_s, self._site, device)
        other = self._site.peers[server].other
        soonest = min(other.devices, key=lambda one: _wait_s(now_s, other, one))
        coming_s = _work_s(
            [target for caller in other.callers for target in caller.targets.values()],
            soonest.box.model.max_batch,
        )
        cores = sum(one.box.model.cores * one.speed_at(now_s) for one in other.devices)
        return _wait_s(now_s, other, soonest) + (coming_s / cores if cores else inf)

    def held(self, now_s: float, server: str) -> int:
        """See `Oracle`."""
        device = self._devices.get(server)
        devices = [device] if device is not None else self._site.peers[server].other.devices
        return sum(
            sum(len(one.queue) for one in each.replicas) + sum(len(run.calls) for run in each.runs)
            for each in devices
        )

    def speed(self, now_s: float, server: str) -> float:
        """See `Oracle`."""
        device = self._devices.get(server)
        if device is not None:
            return device.speed_at(now_s)
        other = self._site.peers[server].other
        soonest = min(other.devices, key=lambda one: _wait_s(now_s, other, one))
        return soonest.speed_at(now_s)

    def network_s(self, now_s: float, site: str, place: str, size_bytes: float) -> float:
        """See `Oracle`."""
        peer = self._site.peers.get(place)
        if peer is None:
            return 2.0 * self._site.half_trip_s
        there_s = peer.there.expected_s(now_s, int(size_bytes))
        return there_s + peer.back.expected_s(now_s, REPLY_BYTES)


def _wait_s(now_s: float, site: Site, device: Device) -> float:
    """Returns when a call could begin to run there: after what runs, waits and comes."""
    speed = device.speed_at(now_s)
    if not speed:
        return inf
    busy_s = sum(max(0.0, run.started_s + run.service_s - now_s) for run in device.runs)
    work_s = 0.0
    for replica in device.replicas:
        calls = len(replica.queue) + site.targets[replica.endpoint].coming
        if calls:
            work_s += _batches_s(replica.model, calls, device.box.model.max_batch)
    return (busy_s + work_s / speed) / device.box.model.cores


def _work_s(targets: list[Target], max_batch: int) -> float:
    return sum(_batches_s(one.model, one.coming, max_batch) for one in targets if one.coming)


def _batches_s(model: VariantModel, calls: int, max_batch: int) -> float:
    """Returns the work of so many calls in full batches, at speed 1."""
    return -(-calls // max_batch) * model.fixed_s + calls * model.each_s
