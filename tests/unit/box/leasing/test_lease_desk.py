"""The desk that hands out leases, over replicas that exist on paper only."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edgefn.box.control_loop import ControlLoop
from edgefn.box.deaths import Death
from edgefn.box.leasing.desk import SERVED_WITHIN_S, STARTED_WITHIN_S, Claim, LeaseDesk
from edgefn.box.leasing.ledger import LOST_HOLD_S
from edgefn.box.replica import Replica, ReplicaState
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn_runtime.leasing import MAX_PER_BOX, LeaseRefused, LeaseTaken, TakeLease
from edgefn_runtime.manifest import Scale
from edgefn_runtime.variant import Measurement, Variant

MakeRevision = Callable[..., Revision]
MakeReplica = Callable[..., Replica]
TWO = (Variant(name="a", backend="python"), Variant(name="b", backend="python"))
RESTING = Scale(min=0, idle_s=1.0)


class Desk:
    """A desk, its control loop and replicas, and what was answered."""

    def __init__(self, make_replica: MakeReplica) -> None:
        self._make = make_replica
        self._revisions: dict[tuple[str, int], Revision] = {}
        self.all: list[Replica] = []
        self.now_s = time.monotonic() - 1.0  # the control loop looks at the clock at a death
        self.control = ControlLoop(totals=Totals(), publish=lambda routes: None)
        self.control.attach(self)
        self.desk = LeaseDesk(self.control, clock=lambda: self.now_s)
        self.answers: list[LeaseTaken | LeaseRefused] = []

    # As a source of replicas.

    def take(self, function: str, revision: int, variant: str) -> Replica:
        replica = self._make(self._revisions[function, revision], variant=variant)
        replica.requested_s = self.now_s
        replica.pid = 4000 + len(self.all)
        self.all.append(replica)
        return replica

    def give_back(self, replica: str) -> None:
        one = next(one for one in self.all if one.id == replica)
        if one.state in ("starting", "ready"):
            one.move("draining")

    def check(self, replica: str) -> ReplicaState:
        return next(one.state for one in self.all if one.id == replica)

    def keep_warm(self, environments: frozenset[str]) -> None:
        pass

    def replicas(self) -> list[Replica]:
        return [one for one in self.all if one.state != "gone"]

    # What happens.

    def serve(self, revision: Revision) -> None:
        self._revisions[revision.function, revision.number] = revision
        self.control.serve(revision, load_s=0.0)

    def claim(self, variant: str = "python", function: str = "f") -> Claim:
        self.now_s += 0.01
        return self.desk.take(TakeLease(function, variant, "a test"), self.answers.append)

    def held(self, variant: str = "python") -> Claim:
        claim = self.claim(variant)
        self.ready()
        return claim

    def pass_s(self, after_s: float = 0.1) -> None:
        self.now_s += after_s
        self.control.reconcile(self.now_s)

    def ready(self) -> None:
        for replica in self.replicas():
            if replica.state == "starting":
                replica.move("ready")
                self.control.replica_changed(replica)

    def die(self, replica: Replica) -> None:
        replica.move("gone")
        self.control.replica_changed(replica)
        death = Death(cause="signal", reason="killed by SIGKILL", at=datetime.now(UTC))
        self.control.replica_died(replica, death)

    def states(self) -> list[str]:
        return [replica.state for replica in self.replicas()]


@pytest.fixture
def box(make_replica: MakeReplica) -> Desk:
    return Desk(make_replica)


async def test_two_leases_hold_two_replicas(box: Desk, make_revision: MakeRevision) -> None:
    """Of a function that nobody calls; each is taken once its own answers."""
    box.serve(make_revision(scale=RESTING))
    for _ in range(2):
        box.claim()
    assert (box.states(), box.answers) == (["starting", "starting"], [])
    box.ready()
    assert box.answers == [
        LeaseTaken(lease=1, replica="r1", pid=4000, adopted=False),
        LeaseTaken(lease=2, replica="r2", pid=4001, adopted=False),
    ]
    box.pass_s(1000.0)
    assert box.states() == ["ready", "ready"]
    assert box.control.functions["f"].leases == {"python": 2}
    assert box.control.functions["f"].wanted == {"python": 0}


async def test_what_was_lost_serves_on_and_is_adopted(
    box: Desk, make_revision: MakeRevision
) -> None:
    """The next lease has the same process."""
    box.serve(make_revision(scale=RESTING))
    claim = box.held()
    box.desk.lose(claim)
    box.pass_s(LOST_HOLD_S - 1.0)
    assert box.states() == ["ready"]
    box.claim()
    assert box.answers[1] == LeaseTaken(lease=2, replica="r1", pid=4000, adopted=True)
    box.pass_s(LOST_HOLD_S)
    assert box.states() == ["ready"]


async def test_what_nobody_takes_again_is_left_to_the_scaler(
    box: Desk, make_revision: MakeRevision
) -> None:
    """Two minutes after the loss."""
    box.serve(make_revision(scale=RESTING))
    box.desk.lose(box.held())
    box.pass_s(LOST_HOLD_S)
    assert box.states() == ["draining"]


async def test_exactly_one_replica_is_drained_for_a_lease_given_back(
    box: Desk, make_revision: MakeRevision
) -> None:
    """Not one that another lease shows."""
    box.serve(make_revision(scale=RESTING))
    first, second, third = box.held(), box.held(), box.held()
    box.desk.give_back(second)
    box.desk.give_back(second)
    box.desk.lose(second)
    assert box.states() == ["ready", "draining", "ready"]
    assert [box.desk.check(claim).replica for claim in (first, third)] == ["r1", "r3"]
    assert not box.desk.check(second).healthy
    box.pass_s()
    assert box.states() == ["ready", "draining", "ready"]


async def test_what_the_scaler_wants_stays_when_a_lease_is_given_back(
    box: Desk, make_revision: MakeRevision
) -> None:
    """A lease adopts what the scaler has already, and takes nothing away from it."""
    box.serve(make_revision(scale=Scale(min=1)))
    box.pass_s()
    box.ready()
    claim = box.claim()
    assert isinstance(box.answers[0], LeaseTaken)
    assert box.answers[0].adopted
    box.desk.give_back(claim)
    assert box.states() == ["ready"]


async def test_a_lease_waits_for_its_function(box: Desk, make_revision: MakeRevision) -> None:
    """It may be placed before the box has what it is for; not for ever."""
    box.claim()
    box.pass_s(SERVED_WITHIN_S - 1.0)
    assert box.answers == []
    box.serve(make_revision(scale=RESTING))
    box.ready()
    assert isinstance(box.answers[0], LeaseTaken)
    box.claim("nope")
    box.claim(function="g")
    box.pass_s(SERVED_WITHIN_S)
    assert [type(answer) is LeaseRefused and answer.code for answer in box.answers[1:]] == [
        "unknown_variant",
        "unknown_function",
    ]


async def test_a_variant_that_the_box_does_not_serve_is_refused(
    box: Desk, make_revision: MakeRevision
) -> None:
    """At once, with the reason; one of another tier, too."""
    box.serve(make_revision(variants=TWO, refused={"a": "it needs LiteRT"}))
    box.claim("a")
    box.control.quarantine("f", "it is broken")
    box.claim("b")
    assert box.answers == [
        LeaseRefused("variant_unavailable", "it needs LiteRT"),
        LeaseRefused("quarantined", "it is broken"),
    ]
    box.serve(replace(make_revision(number=2), elsewhere="it is for the cloud"))
    box.claim()
    assert box.answers[2] == LeaseRefused("variant_unavailable", "it is for the cloud")
    assert box.states() == []


async def test_a_lease_survives_a_rollout(box: Desk, make_revision: MakeRevision) -> None:
    """It shows another replica then; in between, one is on its way."""
    box.serve(make_revision(scale=RESTING))
    claim = box.held()
    box.serve(make_revision(number=2, scale=RESTING))
    assert box.desk.check(claim) == box.desk.check(claim)
    assert (box.desk.check(claim).healthy, box.desk.check(claim).replica) == (True, "")
    box.pass_s()
    assert box.states() == ["draining", "starting"]
    box.ready()
    assert box.desk.check(claim).replica == "r2"


async def test_a_dead_replica_is_replaced_under_its_lease(
    box: Desk, make_revision: MakeRevision
) -> None:
    """Until it died so often that it is started no more: then the lease is not well."""
    box.serve(make_revision(scale=RESTING))
    claim = box.held()
    box.die(box.replicas()[0])
    assert (box.desk.check(claim).healthy, box.desk.check(claim).replica) == (True, "")
    await asyncio.sleep(0)
    box.ready()
    assert box.desk.check(claim).replica == "r2"
    for _ in range(4):
        box.die(box.take("f", 1, "python"))
    state = box.desk.check(claim)
    assert not state.healthy
    assert "5 replicas died" in state.reason


async def test_a_removed_function_has_no_lease(box: Desk, make_revision: MakeRevision) -> None:
    """And one that is deployed again under its name starts with none that was lost."""
    box.serve(make_revision(scale=RESTING))
    one, two = box.held(), box.held()
    box.desk.lose(one)
    box.control.drop("f")
    assert not box.desk.check(two).healthy
    box.desk.lose(two)
    box.serve(make_revision(number=2, scale=RESTING))
    box.pass_s()
    assert box.states() == ["draining", "draining"]


async def test_a_lease_that_does_not_fit_is_refused(box: Desk, make_revision: MakeRevision) -> None:
    """With a sentence; those that are held stay well."""
    measured = Measurement(size_bytes=1, latencies=(), private_bytes=100, load_s=0.1)
    variants = (Variant(name="a", backend="python", measured=measured),)
    box.control._memory.budget_bytes = 250
    box.serve(make_revision(variants=variants, scale=RESTING))
    one, two = box.held("a"), box.held("a")
    box.claim("a")
    assert box.states() == ["ready", "ready"]
    assert isinstance(box.answers[2], LeaseRefused)
    assert "no memory" in box.answers[2].message
    assert box.desk.check(one).healthy
    assert box.desk.check(two).healthy


async def test_a_lease_whose_replica_never_starts_is_refused(
    box: Desk, make_revision: MakeRevision
) -> None:
    """And counts no longer."""
    box.serve(make_revision(scale=RESTING))
    box.claim()
    box.pass_s(STARTED_WITHIN_S)
    assert isinstance(box.answers[0], LeaseRefused)
    assert "no replica started" in box.answers[0].message
    box.pass_s()
    assert box.control.functions["f"].leases == {"python": 0}


async def test_so_many_leases_and_no_more(box: Desk, make_revision: MakeRevision) -> None:
    """Of one variant on one box."""
    box.serve(make_revision(scale=RESTING))
    for _ in range(MAX_PER_BOX + 1):
        box.held()
    assert [type(answer) for answer in box.answers[-2:]] == [LeaseTaken, LeaseRefused]


async def test_a_holder_that_goes_while_it_waits(box: Desk, make_revision: MakeRevision) -> None:
    """Is answered nothing; a replica that was started for it waits for the next one."""
    box.desk.lose(box.claim())
    box.serve(make_revision(scale=RESTING))
    assert box.states() == []
    box.desk.lose(box.claim())
    box.ready()
    box.pass_s()
    assert (box.states(), box.answers) == (["ready"], [])
    box.claim()
    assert box.states() == ["ready"]


async def test_a_box_that_ends_leaves_leases_as_they_are(
    box: Desk, make_revision: MakeRevision
) -> None:
    """Calls under way need the replicas until all of them are drained."""
    box.serve(make_revision(scale=RESTING))
    claim = box.held()
    box.desk.release()
    box.desk.give_back(claim)
    box.pass_s(LOST_HOLD_S)
    assert box.states() == ["ready"]


async def test_a_cold_call_and_the_lease_after_it_have_one_replica(
    box: Desk, make_revision: MakeRevision
) -> None:
    """The call starts it at once; the lease finds it."""
    box.serve(make_revision(scale=RESTING))
    box.control.wake("f", "python")
    box.now_s += 3.0
    box.claim()
    assert box.states() == ["starting"]
    box.ready()
    assert isinstance(box.answers[0], LeaseTaken)
    assert box.answers[0].adopted
