"""Which of a call's flights answers it, and what is told of the others."""

import asyncio
import time
from math import inf

import pytest

from edgefn.errors import ProtocolError, QueueFull, ReplicaLost
from edgefn.gateway.alarms import Alarms
from edgefn.gateway.call import PendingCall
from edgefn.gateway.flights import Flights
from edgefn.routing.decisions import Send
from edgefn.routing.events import Abandoned, Answered, Failed
from edgefn_runtime.wire import NO_CONFIDENCE, Outcome, Reply, pack_confidence


def make_send(endpoint="r1", purpose="first", hedge_at_s=inf):
    send = Send()
    send.endpoint, send.purpose, send.place, send.variant = endpoint, purpose, "", "onnx"
    send.sent_s = time.monotonic()
    send.hedge_at_s = hedge_at_s
    return send


def make_reply(outcome=Outcome.RESULT, *, batch=1, confidence=NO_CONFIDENCE, body=b"1"):
    return Reply(1, outcome, 1, 0, 100, 2000, 0, batch, 0, body, confidence)


class Carrier:
    """Notes what it carries."""

    def __init__(self):
        self.flights, self.forgotten = [], []
        self.too_large = False

    def send(self, flight, now_s):
        if self.too_large:
            raise ProtocolError("it does not fit")
        self.flights.append(flight)

    def forget(self, flight):
        self.forgotten.append(flight)


class Script:
    """A router that says what the test wants."""

    def __init__(self):
        self.events = []
        self.hedges = self.retries = self.escalations = None

    def observe(self, now_s, event):
        self.events.append(event)

    def hedge(self, now_s, call, first, rng):
        return self.hedges

    def retry(self, now_s, call, lost, rng):
        return self.retries

    def escalate(self, now_s, call, doubtful, rng):
        return self.escalations

    def kinds(self):
        return [(type(event), event.send.endpoint) for event in self.events]


class Scene:
    """Flights between a scripted router and two carriers."""

    def __init__(self):
        self.router = Script()
        self.carriers = {"r1": Carrier(), "r2": Carrier()}
        self.alarms = Alarms(lambda call: None)
        self.flights = Flights(self.router, self.alarms, self)
        self.sendings, self.again, self.late = [], [], []
        self.silent = {}

    def sent_again(self, call, send):
        self.sendings.append(send.purpose)

    def overdue(self, flight):
        self.late.append(flight)

    def await_replacement(self, call, error):
        call.fail(error)

    def submit_again(self, call):
        self.again.append(call)

    def start(self, **changes):
        now_s = time.monotonic()
        call = PendingCall(
            function="f",
            read_s=now_s,
            deadline_s=now_s + 10,
            give_up_s=now_s + 10.005,
            timeout_s=1.0,
            content=1,
            accept=1,
            aux=0,
            head=b"",
            answered=asyncio.get_running_loop().create_future(),
            body=b"x",
            **changes,
        )
        self.flights.start(now_s, call, make_send())
        return call, self.carriers["r1"].flights[-1]


@pytest.fixture
async def scene():
    made = Scene()
    yield made
    made.alarms.close()


async def test_an_answer_answers_its_call(scene):
    """Most calls have one flight, whose answer is theirs."""
    call, flight = scene.start()
    reply = make_reply()
    scene.flights.replied(flight, reply)
    assert call.answered.result() is reply and call.send is flight.send and not call.flights
    assert scene.router.kinds() == [(Answered, "r1")]


async def test_a_hedge_is_sent_at_its_time_and_the_first_answer_wins(scene):
    """The other flight is abandoned; its late answer teaches the router, and no one else."""
    scene.router.hedges = make_send("r2", "hedge")
    call, first = scene.start()
    scene.flights.ring(time.monotonic(), call)
    (hedge,) = scene.carriers["r2"].flights
    assert call.flights == [first, hedge] and call.alarm_s == call.give_up_s
    reply = make_reply(body=b"2")
    scene.flights.replied(hedge, reply)
    assert call.answered.result() is reply and call.send is hedge.send
    assert scene.carriers["r1"].forgotten == [first] and first.abandoned
    assert not call.body  # what waits for a late answer holds no body
    scene.flights.replied(first, make_reply())
    assert scene.router.kinds() == [(Answered, "r2"), (Abandoned, "r1"), (Answered, "r1")]
    assert [event.abandoned for event in scene.router.events if type(event) is Answered] == [
        False,
        True,
    ]
    assert call.answered.result() is reply
    assert scene.sendings == ["hedge"]


async def test_an_error_waits_for_the_other_flight(scene):
    """A failure is the answer only if no other flight brings a result."""
    scene.router.hedges = make_send("r2", "hedge")
    for ending in ("result", "loss"):
        call, first = scene.start()
        scene.flights.ring(time.monotonic(), call)
        hedge = scene.carriers["r2"].flights[-1]
        failure = make_reply(Outcome.ERROR)
        scene.flights.replied(first, failure)
        assert not call.answered.done()
        if ending == "result":
            result = make_reply()
            scene.flights.replied(hedge, result)
            assert call.answered.result() is result
        else:
            scene.flights.lost(hedge, ReplicaLost("gone"), unsent=False)
            assert call.answered.result() is failure and call.send is first.send


async def test_a_lost_call_is_retried_if_it_may_run_twice(scene):
    """Only an idempotent one; and only if the router knows where."""
    scene.router.retries = make_send("r2", "retry")
    plain, flight = scene.start()
    scene.flights.lost(flight, ReplicaLost("gone"), unsent=False)
    assert isinstance(plain.answered.exception(), ReplicaLost)
    call, flight = scene.start(idempotent=True)
    scene.flights.lost(flight, ReplicaLost("gone"), unsent=False)
    assert not call.answered.done()
    scene.router.retries = None
    scene.flights.lost(scene.carriers["r2"].flights[-1], ReplicaLost("too"), unsent=False)
    assert call.answered.exception().message == "too"
    assert [kind for kind, _ in scene.router.kinds()] == [Failed] * 3


async def test_what_never_left_is_decided_anew(scene):
    """Whatever the function: nothing can have run."""
    call, flight = scene.start()
    scene.flights.lost(flight, ReplicaLost("gone"), unsent=True)
    assert scene.again == [call] and not call.answered.done()


async def test_a_refusal_is_tried_elsewhere(scene):
    """A replica that did not even run it leaves the call free to go to another one."""
    scene.router.retries = make_send("r2", "retry")
    call, flight = scene.start()
    scene.flights.replied(flight, make_reply(Outcome.ERROR, batch=0))
    assert not call.answered.done() and scene.sendings == ["retry"]
    call, flight = scene.start()
    scene.flights.replied(flight, make_reply(Outcome.ERROR, batch=1))
    assert call.answered.done()


@pytest.mark.parametrize("ending", ["better", "alarm", "loss", "doubtful as well"])
async def test_a_doubtful_answer_goes_to_a_better_variant(scene, ending):
    """Its answer counts if it comes in time; else the doubtful one is given before the deadline."""
    scene.router.escalations = make_send("r2", "escalation")
    call, first = scene.start(escalate_at=pack_confidence(0.8))
    doubtful = make_reply(confidence=pack_confidence(0.5))
    scene.flights.replied(first, doubtful)
    assert not call.answered.done() and call.alarm_s < call.deadline_s
    (second,) = scene.carriers["r2"].flights
    better = make_reply(confidence=pack_confidence(0.6 if ending[0] == "d" else 0.99))
    if ending == "alarm":
        scene.flights.ring(time.monotonic(), call)
        assert second.abandoned
    elif ending == "loss":
        scene.flights.lost(second, ReplicaLost("gone"), unsent=False)
    else:
        scene.flights.replied(second, better)
    fallback = ending in ("alarm", "loss")
    assert call.answered.result() is (doubtful if fallback else better)
    assert call.send is (first if fallback else second).send


async def test_a_sure_answer_or_no_better_variant_ends_it(scene):
    """Most answers are sure; and a function that says nothing of it is never doubted."""
    for confidence, escalation in ((0.8, make_send("r2", "escalation")), (0.1, None)):
        scene.router.escalations = escalation
        call, flight = scene.start(escalate_at=pack_confidence(0.8))
        scene.flights.replied(flight, make_reply(confidence=pack_confidence(confidence)))
        assert call.answered.done()
    call, flight = scene.start(escalate_at=pack_confidence(1.0))
    scene.flights.replied(flight, make_reply())
    assert call.answered.done()


async def test_a_call_that_ends_abandons_all_its_flights(scene):
    """The router learns whether that was because it was overdue."""
    scene.router.hedges = make_send("r2", "hedge")
    call, first = scene.start()
    scene.flights.ring(time.monotonic(), call)
    scene.flights.end(time.monotonic(), call, overdue=True)
    assert [flight.send.endpoint for flight in scene.late] == ["r1", "r2"]
    assert [event.overdue for event in scene.router.events] == [True, True]
    scene.flights.lost(first, ReplicaLost("gone"), unsent=False)  # of no interest any more
    assert len(scene.router.events) == 2


async def test_a_call_that_does_not_fit_counts_nowhere(scene):
    """Its work is given back, and its caller is told."""
    scene.carriers["r1"].too_large = True
    with pytest.raises(ProtocolError):
        scene.start()
    assert scene.router.kinds() == [(Abandoned, "r1")]


async def test_the_alarm_of_a_hedge_comes_early_rather_than_late(scene):
    """And never later than the call is given up."""
    call, _ = scene.start()
    assert call.alarm_s == call.give_up_s
    at_s = time.monotonic() + 1
    scene.flights.start(at_s, call, make_send("r2", hedge_at_s=at_s))
    assert at_s - 0.01 < call.alarm_s < at_s


async def test_an_answer_after_the_caller_left_is_not_given(scene):
    """A cancelled future is left alone."""
    call, flight = scene.start()
    call.answered.cancel()
    scene.flights.replied(flight, make_reply(Outcome.ERROR, batch=0))
    scene.flights.end(time.monotonic(), call, overdue=False)
    call, flight = scene.start()
    call.fail(QueueFull("no"))
    scene.flights.lost(flight, ReplicaLost("gone"), unsent=True)
    assert not scene.again and isinstance(call.answered.exception(), QueueFull)
