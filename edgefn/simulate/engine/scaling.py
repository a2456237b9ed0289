"""The replicas of a site, as the production scaler wants them: they start, take calls and drain.

One scaler decides for all boxes of a site. A replica runs one batch at a time; a box has at most as
many of one variant as it has cores, and of all variants as its memory holds. A new one goes to the
box with the fewest for each core, and of several the one with the least to do is given up first.

Where no box has room for what is wanted, what nobody calls and is worth less to the scaler makes
room at once; for a call that waits, whatever nobody calls does.
"""

import math
from typing import Final

from edgefn.routing.decisions import Decision, Send
from edgefn.scaling.demand import Demand
from edgefn.scaling.pool import QUIET_S
from edgefn.scaling.scaler import Scaler
from edgefn.scaling.snapshot import FunctionLoad, Snapshot, VariantLoad
from edgefn.simulate.engine.call import Visit
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.fleet import Fleet
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.replica import Replica
from edgefn.simulate.engine.reserves import Reserves
from edgefn.simulate.engine.serving import Key
from edgefn.simulate.engine.site import Site
from edgefn.simulate.scenario import VariantModel
from edgefn_runtime.manifest import Scale

TICK_S: Final = 0.25


class _Group:
    """The replicas of one variant at a site.

    Attributes:
        load_name: As the scaler calls the variant: the default one has none.
        replicas: Starting or ready.
        retiring: Those that only answer what they have.
        answered: Calls of replicas that are gone.
        called_s: When it was last called.
    """

    def __init__(self, function: Function, model: VariantModel, *, is_default: bool) -> None:
        self.function = function
        self.model = model
        self.load_name = "" if is_default else model.name
        self.demand = Demand()
        self.replicas: list[Replica] = []
        self.retiring: list[Replica] = []
        self.answered = 0
        self.called_s = -math.inf


class SiteScaling:
    """The control loop of one site.

    Attributes:
        replica_s: Replicas times seconds after the warm-up, starting ones included.
    """

    def __init__(self, site: Site, fleet: Fleet) -> None:
        self.replica_s = 0.0
        self._site = site
        self._fleet = fleet
        self._scaler = Scaler()
        self._started = 0
        self._counted_s = 0.0
        self._groups: dict[Key, _Group] = {}
        for function in fleet.functions:
            served = [one for one in function.model.variants if site.tier in one.tiers]
            for model in served:
                group = _Group(function, model, is_default=model is served[0])
                self._groups[function.name, model.name] = group
        cores = sum(device.box.model.cores for device in site.devices)
        self._scale = Scale(min=0, max=max(1, cores))
        self._reserves = Reserves(site, fleet)
        site.wakes = self
        fleet.tell_table(0.0, site)
        fleet.agenda.at(0.0, self._tick, None)

    # What the gateway tells.

    def wanted(self, now_s: float, visit: Visit, decision: Decision) -> None:
        """A call came in, and that was decided."""
        group = self._groups.get((visit.function, decision.variant))
        if group is None:
            return
        work_s = decision.work_s
        slack_s = float("inf")
        if visit.deadline_s is not None:
            slack_s = visit.deadline_s - now_s - work_s
            if isinstance(decision, Send):
                slack_s = visit.deadline_s - now_s - decision.service_s - decision.network_s
        group.called_s = now_s
        group.demand.want(now_s, work_s, slack_s)

    def wake(self, now_s: float, function: str, variant: str) -> None:
        """A call waits for a first replica."""
        group = self._groups.get((function, variant))
        if group is not None and not group.replicas:
            self._start_somewhere(now_s, group)

    def asked(self, function: str, asker: str, replicas: int) -> None:
        """A site of a lower tier wants so many replicas to be ready."""
        self._reserves.asked(function, asker, replicas)

    # What boxes do.

    def box_is_gone(self, now_s: float, device: Device) -> None:
        """A box has lost all its replicas."""
        self._count(now_s)
        for group in self._groups.values():
            for replicas in (group.replicas, group.retiring):
                replicas[:] = [one for one in replicas if one.device is not device]
        for replica in device.replicas:
            self._site.targets.pop(replica.endpoint, None)
        device.replicas.clear()
        self._fleet.tell_table(now_s, self._site)

    # The loop.

    def _tick(self, now_s: float, _: object) -> None:
        if now_s >= self._fleet.scenario.duration_s:
            self._count(self._fleet.scenario.duration_s)
            return
        self._fleet.agenda.at(now_s + TICK_S, self._tick, None)
        self._count(now_s)
        self._bury(now_s)
        plan = self._scaler.step(now_s, self._snapshot())
        self._reserves.tell(now_s, plan.reserve)
        before = self._started
        retired = False
        for group in self._groups.values():
            wanted = plan.desired.get((group.function.name, group.load_name), 0)
            while len(group.replicas) < wanted and self._start_somewhere(now_s, group):
                pass
            while len(group.replicas) > wanted:
                self._retire(now_s, group, self._idlest(group))
                retired = True
        if retired or self._started != before:
            self._fleet.tell_table(now_s, self._site)

    def _snapshot(self) -> Snapshot:
        by_function: dict[Function, list[VariantLoad]] = {}
        for group in self._groups.values():
            load = VariantLoad(
                name=group.load_name,
                replicas=len(group.replicas),
                ready=sum(one.up for one in group.replicas),
                ongoing=sum(self._held(one) for one in group.replicas),
                waiting=self._site.waiting(group.function.name, group.model.name),
                calls=group.answered + sum(one.answered for one in group.replicas),
                demand=(group.demand.take(),),
                boot_s=group.model.load_s,
                memory_bytes=group.model.memory_bytes,
            )
            by_function.setdefault(group.function, []).append(load)
        functions = tuple(
            FunctionLoad(
                name=function.name,
                scale=self._scale,
                variants=tuple(loads),
                saves_energy=function.model.objective == "energy",
                reserved=self._reserves.of(function.name),
            )
            for function, loads in by_function.items()
        )
        memory_bytes = sum(one.box.model.memory_bytes for one in self._site.devices if one.up)
        return Snapshot(functions=functions, memory_bytes=memory_bytes)

    def _start_somewhere(self, now_s: float, group: _Group) -> bool:
        """Starts a replica, if a box has room for it or can make some."""
        device = self._room(group) or self._make_room(now_s, group)
        if device is None:
            return False
        self._count(now_s)
        self._started += 1
        replica = self._fleet.open(
            self._site, device, group.function.name, group.model, self._started
        )
        group.replicas.append(replica)
        self._fleet.agenda.at(now_s + group.model.load_s, self._ready, (group, replica))
        return True

    def _ready(self, now_s: float, what: tuple[_Group, Replica]) -> None:
        group, replica = what
        if replica in group.replicas:  # else its box is gone, or it is not wanted any more
            self._fleet.tell_table(now_s, self._site)
            self._site.connect(now_s, replica)

    def _idlest(self, group: _Group) -> Replica:
        """Returns the replica with the least to do; one that has not started yet, if there is."""
        return min(reversed(group.replicas), key=lambda one: (one.up, self._held(one)))

    def _retire(self, now_s: float, group: _Group, replica: Replica) -> None:
        """Lets a replica only answer what it has."""
        group.replicas.remove(replica)
        group.retiring.append(replica)
        replica.retired = True
        self._site.serving.remove(now_s, replica)

    def _bury(self, now_s: float) -> None:
        """Ends the replicas that have answered all they had."""
        for group in self._groups.values():
            for replica in [one for one in group.retiring if not self._held(one)]:
                self._end(now_s, group, replica)

    def _end(self, now_s: float, group: _Group, replica: Replica) -> None:
        """Frees what a replica that has retired and has nothing to do had."""
        self._count(now_s)
        group.retiring.remove(replica)
        group.answered += replica.answered
        replica.device.replicas.remove(replica)
        del self._site.targets[replica.endpoint]

    def _room(self, group: _Group) -> Device | None:
        """Returns the box that has the most room for one more; None: there is none."""
        best, least = None, 0.0
        for device in self._site.devices:
            model = device.box.model
            same = sum(one.device is device for one in group.replicas)
            fits = _free_bytes(device) >= group.model.memory_bytes
            if not device.up or same >= model.cores or not fits:
                continue
            density = (same * len(self._groups) + len(device.replicas)) / model.cores
            if best is None or density < least:
                best, least = device, density
        return best

    def _make_room(self, now_s: float, group: _Group) -> Device | None:
        """Ends what is worth least altogether on a box, so that it has room; None: nothing is."""
        wanted_bytes = group.model.memory_bytes
        best: Device | None = None
        least, ended = math.inf, list[tuple[_Group, Replica]]()
        idle = self._idle(now_s, group)
        for device in self._site.devices:
            free_bytes, worth, here = _free_bytes(device), 0.0, list[tuple[_Group, Replica]]()
            for each, one, replica in idle:
                if free_bytes < wanted_bytes and replica.device is device:
                    free_bytes += one.model.memory_bytes
                    worth += each * one.model.memory_bytes
                    here.append((one, replica))
            if here and free_bytes >= wanted_bytes and worth < least:
                best, least, ended = device, worth, here
        for one, replica in ended:
            self._retire(now_s, one, replica)
            self._end(now_s, one, replica)
        if ended:
            self._fleet.tell_table(now_s, self._site)
        return best

    def _idle(self, now_s: float, group: _Group) -> list[tuple[float, _Group, Replica]]:
        """Returns the replicas that may make room for one of a group, the least worthy first."""
        limit = math.inf
        if not self._site.waiting(group.function.name, group.model.name):
            limit = self._scaler.worth(now_s, group.function.name, group.load_name)
        idle = [
            (worth, one, replica)
            for one in self._groups.values()
            if one is not group and one.replicas and now_s - one.called_s >= QUIET_S
            if (worth := self._scaler.worth(now_s, one.function.name, one.load_name)) < limit
            for replica in one.replicas
            if not self._held(replica)
        ]
        return sorted(idle, key=lambda each: each[0])

    def _held(self, replica: Replica) -> int:
        runs = sum(len(run.calls) for run in replica.device.runs if run.replica is replica)
        return len(replica.queue) + runs + self._site.targets[replica.endpoint].coming

    def _count(self, now_s: float) -> None:
        """Adds the time since the last change to what replicas cost."""
        since_s = max(self._counted_s, self._fleet.scenario.warm_up_s)
        self._counted_s = now_s
        if now_s <= since_s:
            return
        count = sum(len(one.replicas) + len(one.retiring) for one in self._groups.values())
        self.replica_s += count * (now_s - since_s)
        self._fleet.tally.kept(since_s, count * (now_s - since_s))


def _free_bytes(device: Device) -> float:
    """Returns how much more memory replicas may have on a box."""
    limit_bytes = device.box.model.memory_bytes
    if not limit_bytes:
        return math.inf
    return limit_bytes - sum(one.model.memory_bytes for one in device.replicas)
