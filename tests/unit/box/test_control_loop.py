"""The control loop against replicas that exist on paper only."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from edgefn.box.control_loop import ControlLoop
from edgefn.box.deaths import Death, DeathCause
from edgefn.box.replica import Replica, ReplicaState
from edgefn.box.replica_source import LaunchFailed, StartsSoon
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import FunctionReport, FunctionRoute, PlaceReport, Report
from edgefn.scaling.demand import Demand
from edgefn_runtime.manifest import Scale
from edgefn_runtime.variant import Variant

MakeRevision = Callable[..., Revision]
MakeReplica = Callable[..., Replica]


class FakeSource:
    """Replicas without processes; a test says what becomes of them."""

    def __init__(self, make_replica: MakeReplica) -> None:
        self._make = make_replica
        self.revisions: dict[tuple[str, int], Revision] = {}
        self.all: list[Replica] = []
        self.refuses: LaunchFailed | None = None
        self.taken = asyncio.Event()
        self.warm: list[set[str]] = []

    def keep_warm(self, environments: frozenset[str]) -> None:
        self.warm.append(set(environments))

    def take(self, function: str, revision: int, variant: str) -> Replica:
        if self.refuses is not None:
            raise self.refuses
        replica = self._make(self.revisions[function, revision], variant=variant)
        self.all.append(replica)
        self.taken.set()
        return replica

    def give_back(self, replica: str) -> None:
        one = next(one for one in self.all if one.id == replica)
        if one.state in ("starting", "ready"):
            one.move("draining")

    def check(self, replica: str) -> ReplicaState:
        return next(one.state for one in self.all if one.id == replica)

    def replicas(self) -> list[Replica]:
        return [one for one in self.all if one.state != "gone"]


class Loop:
    """A control loop, its replicas, and the last routes."""

    def __init__(self, make_replica: MakeReplica) -> None:
        self.totals = Totals()
        self.routes: tuple[FunctionRoute, ...] = ()
        self.source = FakeSource(make_replica)
        self.control = ControlLoop(totals=self.totals, publish=self._publish)
        self.control.attach(self.source)
        self.now_s = 1000.0

    def _publish(self, routes: tuple[FunctionRoute, ...]) -> None:
        self.routes = routes

    def serve(self, revision: Revision) -> None:
        self.source.revisions[revision.function, revision.number] = revision
        self.control.serve(revision, load_s=0.0)

    def tick(self, after_s: float = 0.1) -> list[str]:
        self.now_s += after_s
        self.control.reconcile(self.now_s)
        return self.states()

    def states(self) -> list[str]:
        return [replica.state for replica in self.source.replicas()]

    def ready(self) -> None:
        for replica in self.source.replicas():
            if replica.state == "starting":
                replica.load_s = 0.03
                replica.move("ready")
                self.control.replica_changed(replica)

    def die(self, replica: Replica, cause: DeathCause = "signal") -> None:
        replica.move("gone")
        self.control.replica_changed(replica)
        death = Death(cause=cause, reason="killed by SIGKILL", at=datetime.now(UTC))
        self.control.replica_died(replica, death)


@pytest.fixture
def loop(make_replica: MakeReplica) -> Loop:
    return Loop(make_replica)


async def test_a_function_gets_its_minimum(loop: Loop, make_revision: MakeRevision) -> None:
    """Replicas are started, and become routes once they are ready."""
    loop.serve(make_revision(scale=Scale(min=2)))
    assert loop.tick() == ["starting"] * 2
    assert loop.tick() == ["starting"] * 2
    assert loop.routes[0].replicas == ()
    loop.ready()
    assert [route.replica for route in loop.routes[0].replicas] == ["r1", "r2"]
    assert loop.routes[0].variants[0].load_s == 0.03


async def test_a_waiting_call_starts_a_replica_at_once(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """Without waiting for the next tick; a name that nobody deployed does nothing."""
    loop.serve(make_revision(scale=Scale(min=0)))
    assert loop.tick() == []
    loop.control.wake("unknown", "python")
    assert loop.states() == []
    loop.control.wake("f", "python")
    assert loop.states() == ["starting"]


async def test_the_least_busy_replica_is_drained(loop: Loop, make_revision: MakeRevision) -> None:
    """Of several, the one with the fewest calls goes, and of these the youngest."""
    loop.serve(make_revision(scale=Scale(min=1, idle_s=1.0)))
    for _ in range(3):
        loop.source.take("f", 1, "python")
    loop.ready()
    loop.tick()
    function = FunctionReport(name="f", ongoing=1, replicas={"r3": 1, "r1": 0, "r2": 0})
    loop.totals.add(Report(0, (function,), 1))
    assert loop.tick(2.0) == ["ready", "draining", "ready"]


async def test_a_dead_replica_is_replaced(loop: Loop, make_revision: MakeRevision) -> None:
    """At once after the first death, and its route is gone before that."""
    loop.serve(make_revision())
    loop.tick()
    loop.ready()
    loop.die(loop.source.replicas()[0])
    assert loop.routes[0].replicas == ()
    await asyncio.sleep(0)
    assert loop.states() == ["starting"]
    function = loop.control.functions["f"]
    assert function.deaths == 1
    assert function.last_death is not None
    assert loop.totals.functions["f"].deaths == {"signal": 1}


async def test_five_deaths_quarantine_a_function(loop: Loop, make_revision: MakeRevision) -> None:
    """Its replicas are drained, its route says why, and nothing starts any more."""
    loop.serve(make_revision(scale=Scale(min=2)))
    for _ in range(6):
        loop.source.take("f", 1, "python")
    loop.ready()
    for replica in loop.source.replicas()[:5]:
        loop.die(replica)
    assert loop.routes[0].state == "quarantined"
    assert "5 replicas died" in loop.routes[0].reason
    await asyncio.sleep(0)
    assert loop.tick() == ["draining"]
    loop.control.wake("f", "python")
    assert loop.tick(100.0) == ["draining"]


async def test_a_deployment_lifts_the_quarantine(loop: Loop, make_revision: MakeRevision) -> None:
    """The new revision starts with no deaths to its account."""
    loop.serve(make_revision())
    loop.control.quarantine("f", "it is broken")
    assert (loop.routes[0].state, loop.routes[0].reason) == ("quarantined", "it is broken")
    assert loop.tick() == []
    loop.serve(make_revision(number=2))
    assert loop.routes[0].state == "serving"
    assert loop.tick() == ["starting"]


async def test_the_death_of_the_forkserver_is_not_the_functions_fault(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """However often it happens, the function is not quarantined for it."""
    loop.serve(make_revision())
    for _ in range(8):
        loop.tick()
        loop.die(loop.source.replicas()[0], "launcher")
    assert not loop.control.functions["f"].quarantined_because
    assert loop.control.functions["f"].deaths == 8


async def test_a_new_revision_takes_over(loop: Loop, make_revision: MakeRevision) -> None:
    """Its staged replica is routed before the old ones are drained, and the level stays."""
    loop.serve(make_revision(scale=Scale(min=2)))
    loop.tick()
    loop.ready()
    second = make_revision(number=2, scale=Scale(min=2))
    loop.source.revisions["f", 2] = second
    loop.source.take("f", 2, "python")
    loop.ready()
    assert [route.replica for route in loop.routes[0].replicas] == ["r1", "r2"]
    loop.control.serve(second, load_s=0.02)
    assert [route.replica for route in loop.routes[0].replicas] == ["r3"]
    assert loop.tick() == ["draining", "draining", "ready", "starting"]


async def test_the_death_of_a_staged_replica_is_not_counted(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """What fails its trial is no reason to quarantine what serves."""
    loop.serve(make_revision())
    loop.source.revisions["f", 2] = make_revision(number=2)
    for _ in range(6):
        loop.die(loop.source.take("f", 2, "python"))
    assert loop.control.functions["f"].deaths == 0
    assert not loop.control.functions["f"].quarantined_because


TWO = (Variant(name="a", backend="python"), Variant(name="b", backend="python"))


async def test_another_variant_starts_with_its_first_call(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """The minimum is the default one's; the other rests again when nobody calls it."""
    loop.serve(make_revision(variants=TWO, scale=Scale(min=1, max=3, idle_s=1.0)))
    loop.tick()
    loop.ready()
    loop.control.wake("f", "nope")
    loop.control.wake("f", "b")
    loop.ready()
    assert [(one.replica, one.variant) for one in loop.routes[0].replicas] == [
        ("r1", "a"),
        ("r2", "b"),
    ]
    assert (loop.routes[0].default, [one.state for one in loop.routes[0].variants]) == (
        "a",
        ["available"] * 2,
    )
    loop.totals.add(Report(0, (FunctionReport(name="f", outcomes={200: 1}, variants={"b": 1}),), 1))
    loop.now_s = time.monotonic() + 2.0  # the wake is forgotten
    loop.tick()
    loop.tick(0.5)
    assert loop.states() == ["ready", "ready"]
    loop.tick(1.5)
    assert loop.states() == ["ready", "draining"]


async def test_a_variant_that_keeps_dying_is_quarantined_alone(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """The function serves on with the others, and its route says which one does not."""
    loop.serve(make_revision(variants=TWO, scale=Scale(min=1, max=8)))
    loop.tick()
    loop.ready()
    for _ in range(5):
        loop.die(loop.source.take("f", 1, "b"))
    assert loop.routes[0].state == "serving"
    assert [one.state for one in loop.routes[0].variants] == ["available", "quarantined"]
    assert "5 replicas died" in loop.routes[0].variants[1].reason
    loop.control.wake("f", "b")
    assert loop.states() == ["ready"]


async def test_a_variant_that_the_box_refuses_has_no_replica(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """The default is the first that it serves."""
    loop.serve(make_revision(variants=TWO, refused={"a": "it needs LiteRT"}))
    loop.control.wake("f", "a")
    loop.tick()
    assert [replica.variant.name for replica in loop.source.replicas()] == ["b"]
    route = loop.routes[0]
    assert (route.default, route.variants[0].state, route.variants[0].reason) == (
        "b",
        "unavailable",
        "it needs LiteRT",
    )


async def test_a_removed_function_has_no_route(loop: Loop, make_revision: MakeRevision) -> None:
    """And no replica that is not draining; a wake that is late does nothing."""
    loop.serve(make_revision())
    loop.tick()
    loop.control.drop("f")
    assert loop.routes == ()
    assert loop.states() == ["draining"]
    loop.control.wake("f", "python")
    assert loop.tick() == ["draining"]


async def test_a_refused_process_is_tried_again(
    loop: Loop, make_revision: MakeRevision, caplog: pytest.LogCaptureFixture
) -> None:
    """At every tick, without an end of the loop; the same failure is logged once."""
    loop.serve(make_revision())
    loop.source.refuses = LaunchFailed("no process")
    assert loop.tick() == loop.tick() == []
    assert caplog.messages == ["no process"]
    loop.source.refuses = None
    assert loop.tick() == ["starting"]
    loop.source.give_back("r1")
    loop.source.refuses = LaunchFailed("no process")
    loop.tick()
    assert caplog.messages == ["no process"] * 2, "it had worked in between"


async def test_a_forkserver_that_starts_is_waited_for(
    loop: Loop, make_revision: MakeRevision, caplog: pytest.LogCaptureFixture
) -> None:
    """The replica is asked for again before the next tick, and nothing is logged."""
    loop.serve(make_revision())
    loop.source.refuses = StartsSoon("its forkserver starts first")
    assert loop.tick() == []
    loop.source.refuses = None
    async with asyncio.timeout(10.0):
        await loop.source.taken.wait()
    assert loop.states() == ["starting"]
    assert caplog.messages == []


async def test_replicas_follow_the_demand_that_gateways_report(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """A load beyond one replica brings more, whatever is under way; later they are drained."""
    loop.serve(make_revision(scale=Scale(min=1, max=4, idle_s=5.0)))
    loop.tick()
    loop.ready()
    for _ in range(20):
        demand = Demand()
        for call in range(3):
            demand.want(loop.now_s + 0.03 * call, 0.1, 0.2)
        report = FunctionReport(name="f", outcomes={200: 3}, demand={"python": demand.take()})
        loop.totals.add(Report(0, (report,), 1))
        loop.tick()
        loop.ready()
    assert loop.states() == ["ready"] * 4
    for _ in range(100):
        loop.tick()
    assert loop.states().count("ready") == 1


async def test_demand_is_taken_once(loop: Loop, make_revision: MakeRevision) -> None:
    """And that of a function that nobody deployed, or that was removed, is dropped."""
    loop.serve(make_revision())
    demand = Demand()
    demand.want(1.0, 0.1, 0.2)
    report = demand.take()
    functions = tuple(FunctionReport(name=name, demand={"python": report}) for name in "fg")
    loop.totals.add(Report(0, functions, 1))
    assert loop.totals.take_demand("f") == {"python": [report]}
    assert loop.totals.take_demand("f") == {}
    assert loop.totals.take_demand("g") == {}


async def test_the_forkservers_of_what_is_in_use_are_kept(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """They are told once, not at every tick."""
    loop.serve(make_revision())
    loop.tick()
    loop.tick()
    assert loop.source.warm == [{""}]
    loop.control.drop("f")
    loop.tick()
    assert loop.source.warm == [{""}, set()]


def report_of(number: int, **asked: int) -> Report:
    """A peer asks for replicas."""
    return Report(number, (), 0, (PlaceReport("plant-1", "edge", True, reserves=asked),))


async def test_what_a_lower_tier_asks_for_is_started(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """And is wanted, so that a cluster holds it, too."""
    loop.serve(make_revision(scale=Scale(min=0, max=4)))
    loop.tick()
    loop.totals.add(report_of(0, f=2))
    loop.tick(after_s=1.0)
    assert loop.tick() == ["starting"] * 2
    function = loop.control.functions["f"]
    assert (function.reserved, function.wanted) == (2, {"python": 2})


async def test_what_may_not_be_started_is_told_to_the_gateways_when_it_changes(
    loop: Loop, make_revision: MakeRevision
) -> None:
    """So that they ask the next tier for it."""
    loop.serve(make_revision(scale=Scale(min=0, max=1)))
    loop.tick()
    loop.totals.add(report_of(0, f=3))
    loop.tick(after_s=1.0)
    assert [route.reserve for route in loop.routes] == [2]
    published = loop.routes
    loop.tick()
    assert loop.routes is published
    loop.totals.add(report_of(0))
    loop.tick(after_s=60.0)
    loop.tick(after_s=60.0)
    assert [route.reserve for route in loop.routes] == [0]
