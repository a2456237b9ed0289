"""Calls between the replicas of this box and the places of peers."""

import asyncio
import time

import msgspec
import pytest

from edgefn.errors import EdgefnError, ReplicaLost
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import FunctionRoute, ReplicaRoute, Routes, VariantRoute
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.events import LoadReported
from edgefn.routing.table import DeployedEndpoint, Place
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given
from edgefn_runtime.wire import Outcome, Reply

PEER = Place(name="cloud1", tier="cloud", site="far")


class Carrier:
    """Notes what it carries."""

    def __init__(self):
        self.flights, self.forgotten = [], []

    def send(self, flight, now_s):
        self.flights.append(flight)

    def forget(self, flight):
        self.forgotten.append(flight)


REPLY = Reply(1, Outcome.RESULT, 1, 0, 100, 2000, 0, 1, 0, b"1")


def lose(dispatcher, carrier):
    """The replica dies with the last call that it was sent."""
    dispatcher._endpoints.disconnect(("r1",))
    dispatcher.flights.lost(carrier.flights[-1], ReplicaLost("died"), unsent=False)


def make_routes(digest="d1", version=1, state="unavailable", replicas=(), **spec):
    route = FunctionRoute(
        name="f",
        revision=version,
        spec=FunctionSpec(name="f", **spec),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(VariantRoute(variant=as_given({}), state=state, reason="not here"),),
        default="python",
        replicas=tuple(ReplicaRoute(one, "python", "/nowhere") for one in replicas),
        digest=digest,
    )
    return Routes(version, (route,))


def at_peer(digest="d1"):
    endpoint = DeployedEndpoint(name="cloud1/f/python", place="cloud1")
    return PeerEndpoint(function="f", digest=digest, variant="python", endpoint=endpoint)


def make_call(budget_s=10.0, **changes):
    now_s = time.monotonic()
    return PendingCall(
        function="f",
        read_s=now_s,
        deadline_s=now_s + budget_s,
        give_up_s=now_s + budget_s,
        timeout_s=1.0,
        content=1,
        accept=1,
        aux=0,
        head=b"",
        answered=asyncio.get_running_loop().create_future(),
        **changes,
    )


@pytest.fixture
async def dispatcher():
    told = []
    made = Dispatcher(told.append, Place(name="", tier="edge", site="near"))
    made.told = told
    made.update(make_routes())
    yield made
    await made.aclose()


@pytest.fixture
def carrier(dispatcher):
    """A peer that serves the function."""
    made = Carrier()
    dispatcher.set_place(PEER, (at_peer(),))
    dispatcher.connected("cloud1/f/python", made)
    dispatcher.observe(LoadReported("cloud1/f/python", 0.0, 1))
    return made


async def test_a_peer_answers_what_is_not_served_here(dispatcher, carrier):
    """Its reply is the call's, and both tables know where it came from."""
    call = make_call(body=b"{}")
    dispatcher.submit(call)
    (flight,) = carrier.flights
    reply = Reply(1, Outcome.RESULT, 1, 0, 100, 2000, 0, 1, 0, b"1")
    dispatcher.flights.replied(flight, reply)
    assert call.answered.result() is reply
    assert (call.send.place, dispatcher.places["cloud1"]) == ("cloud1", PEER)
    (report,) = dispatcher.take_reports()
    (sent,) = report.sent
    assert (sent.variant, sent.place, sent.purpose, sent.count) == ("python", "cloud1", "first", 1)


async def test_a_peer_of_another_bundle_gets_no_calls(dispatcher, carrier):
    """From the moment at which the bundle changes here, until the peer has it too."""
    dispatcher.update(make_routes("d2", 2))
    with pytest.raises(EdgefnError):
        dispatcher.submit(make_call())
    dispatcher.update(make_routes("d1", 3))
    dispatcher.submit(make_call())
    assert len(carrier.flights) == 1


async def test_a_peer_that_is_gone_gets_no_calls(dispatcher, carrier):
    """What it had is lost, and told by its carrier."""
    call = make_call()
    dispatcher.submit(call)
    dispatcher.remove_place("cloud1")
    dispatcher.flights.lost(carrier.flights[0], ReplicaLost("cut"), unsent=True)
    assert isinstance(call.answered.exception(), EdgefnError)
    with pytest.raises(EdgefnError):
        dispatcher.submit(make_call())
    assert "cloud1" not in dispatcher.places and not dispatcher.carriers


async def test_a_late_peer_is_a_miss_of_the_network(dispatcher, carrier):
    """The call is given up when its time is up, and the peer is told."""
    call = make_call(0.03)
    dispatcher.submit(call)
    dispatcher.alarms.watch(call)
    with pytest.raises(EdgefnError, match="was at box cloud1"):
        await call.answered
    assert call.miss == "network" and carrier.forgotten == carrier.flights


async def test_a_call_that_left_is_forgotten_by_its_carrier(dispatcher, carrier):
    """And it is no demand that was missed."""
    call = make_call()
    dispatcher.submit(call)
    dispatcher.abandon(call)
    assert carrier.forgotten == carrier.flights and not call.flights


async def test_a_check_sends_nothing(dispatcher, carrier):
    """It only refuses."""
    for _ in range(300):  # more than one endpoint may hold
        dispatcher.check(make_call(size_bytes=1000))
    assert not carrier.flights
    with pytest.raises(EdgefnError):
        dispatcher.check(make_call(-1.0))


async def test_a_check_counts_nothing_that_is_not_refused(dispatcher, carrier):
    """It counts when its body is here, and it is submitted."""
    dispatcher.take_reports()
    dispatcher.check(make_call(size_bytes=1000))
    assert dispatcher.take_reports() == ()


async def test_a_lost_call_waits_for_a_replacement_once(dispatcher):
    """If it may run twice; and if its deadline passes before, that is what it is told."""
    dispatcher.update(make_routes(state="available"))
    carrier = Carrier()
    for ending in ("replaced", "late", "lost again"):
        dispatcher.update(make_routes(state="available", replicas=("r1",)))
        dispatcher.connected("r1", carrier)
        call = make_call(0.05 if ending == "late" else 10.0, idempotent=True)
        dispatcher.submit(call)
        lose(dispatcher, carrier)
        assert not call.answered.done() and dispatcher.told
        if ending == "late":
            with pytest.raises(EdgefnError, match="deadline"):
                await call.answered
            continue
        dispatcher.connected("r1", carrier)
        if ending == "lost again":
            lose(dispatcher, carrier)
            assert isinstance(call.answered.exception(), ReplicaLost)
        else:
            dispatcher.flights.replied(carrier.flights[-1], REPLY)
            assert call.answered.result() is REPLY


async def test_a_lost_call_that_may_not_run_twice_is_told_so(dispatcher):
    """At once."""
    dispatcher.update(make_routes(state="available", replicas=("r1",)))
    carrier = Carrier()
    dispatcher.connected("r1", carrier)
    call = make_call()
    dispatcher.submit(call)
    lose(dispatcher, carrier)
    assert isinstance(call.answered.exception(), ReplicaLost)


async def test_what_calls_wanted_is_reported(dispatcher, carrier):
    """Where they went does not matter to it."""
    dispatcher.submit(make_call())
    (report,) = dispatcher.take_reports()
    assert list(report.demand) == ["python"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(report), type=type(report)) == report
