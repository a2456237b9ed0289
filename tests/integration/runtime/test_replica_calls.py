"""A real replica, forked from a real forkserver, answers calls on its Unix socket."""

import os
import signal
import struct
import time

import pytest

from edgefn_runtime.frames import encode_hello
from edgefn_runtime.wire import PROTOCOL, Outcome, pack_confidence

ECHO = """
    @edge_function
    def f(x: int) -> int:
        return x
"""

BATCHED = """
    @edge_function(batch=8)
    def f(x: list[int]) -> list[str]:
        print("ran", x)
        if 13 in x:
            raise ValueError("unlucky")
        if 14 in x:
            raise InvalidInput("14 is no input")
        return [f"{each} of {len(x)}" for each in x]
"""

# Runs wait at a gate: calls that arrive meanwhile wait in the queue.
GATED = """
    from pathlib import Path

    @edge_function(batch=8)
    def f(x: list[int], gate: list[str]) -> list[int]:
        print("in", x)
        while gate[0] and not Path(gate[0]).exists():
            time.sleep(0.002)
        return [len(x)] * len(x)
"""

ASYNC = """
    import asyncio

    @edge_function(timeout_s=0.3)
    async def f(s: float) -> float:
        try:
            await asyncio.sleep(s)
        except asyncio.CancelledError:
            print("cancelled")
            raise
        if s == 0.011:
            raise asyncio.CancelledError
        return s
"""


@pytest.fixture
def echo(runtime):
    """A replica that answers what it is sent."""
    replica = runtime.fork(ECHO)
    replica.ready()
    return replica


def test_says_who_it_is_and_answers(runtime):
    """The first frame is a hello that names the replica, and a call is answered with its result."""
    replica = runtime.fork(ECHO)
    ready = replica.ready()
    peer = replica.connect()
    assert (peer.hello.protocol, peer.hello.replica) == (PROTOCOL, replica.config.replica)
    assert peer.hello.boot_id == ready.boot_id
    assert ready.spec.name == "f"
    assert peer.call(x=7) == 7


def test_runs_a_model(runtime, scaling_model):
    """A model is loaded from the bundle and injected."""
    replica = runtime.fork(
        """
        @edge_function(model="model.onnx")
        def f(x: Tensor["float32", 4], model: Model) -> list[float]:
            return model(x[None])[0].tolist()
        """,
        models={"model": scaling_model},
    )
    replica.ready()
    assert replica.connect().call(x=[1, 2, 3, 4]) == [2, 4, 6, 8]


def test_what_arrives_together_runs_together(runtime):
    """All calls of one read form a batch, and each reply says how many ran with it."""
    replica = runtime.fork(BATCHED)
    replica.ready()
    peer = replica.connect()
    peer.sock.sendall(b"".join(peer.frame(x=number) for number in range(5)))
    replies = [peer.receive() for _ in range(5)]
    assert [reply.batch for reply in replies] == [5] * 5
    assert [reply.body for reply in replies] == [b'"%d of 5"' % number for number in range(5)]
    assert all(reply.queued == 0 and reply.backlog_us == 0 for reply in replies)


def test_a_call_fails_without_its_neighbours(runtime):
    """An exception or a refusal of one call leaves the others of its batch their answers."""
    replica = runtime.fork(BATCHED)
    replica.ready()
    peer = replica.connect()
    frames = [peer.frame(x=1), peer.frame(x=13, request_id="bad-luck"), peer.frame(x=14)]
    frames += [peer.frame(x="no number"), peer.frame(x=2)]
    peer.sock.sendall(b"".join(frames))
    replies = {reply.id: reply for reply in (peer.receive() for _ in frames)}
    outcomes = [replies[number].outcome for number in range(1, 6)]
    assert outcomes == [Outcome.RESULT, *[Outcome.ERROR] * 3, Outcome.RESULT]
    assert b"ValueError: unlucky" in replies[2].body
    assert b"14 is no input" in replies[3].body
    assert b"invalid_input" in replies[4].body
    log = replica.log(until="unlucky\n")
    assert "call bad-luck failed: Traceback" in log
    assert "function.py" in log
    assert "edgefn_runtime" not in log


def test_the_load_report_tells_of_waiting_and_running(runtime, tmp_path):
    """Queue time, service time and what still waits are in each reply."""
    replica = runtime.fork(GATED.replace("batch=8", "batch=2"))
    replica.ready()
    peer = replica.connect()
    gate = tmp_path / "gate"
    peer.sock.sendall(peer.frame(x=0, gate=str(gate)))
    replica.log(until="in [0]")
    peer.sock.sendall(b"".join(peer.frame(x=number, gate="") for number in range(1, 4)))
    gate.touch()
    first, second, third, fourth = (peer.receive() for _ in range(4))
    assert first.batch == 1
    assert first.service_us > first.queue_us
    assert (second.batch, third.batch, fourth.batch) == (2, 2, 1)
    assert second.queued == 1
    assert second.queue_us > 0


def test_drops_calls_that_waited_beyond_their_deadline(runtime, tmp_path):
    """A call whose deadline passes in the queue is refused without being run."""
    replica = runtime.fork(GATED)
    replica.ready()
    peer, other = replica.connect(), replica.connect()
    gate = tmp_path / "gate"
    peer.sock.sendall(peer.frame(x=0, gate=str(gate)))
    replica.log(until="in [0]")
    other.sock.sendall(other.frame(budget_s=0.01, x=1, gate="") + other.frame(x=2, gate=""))
    time.sleep(0.05)  # the deadline has to pass
    gate.touch()
    dropped = other.receive()
    assert (dropped.id, dropped.batch) == (1, 0)
    assert b"deadline_exceeded" in dropped.body
    assert other.receive().outcome == Outcome.RESULT
    assert "in [2]" in replica.log(until="in [2]")


def test_cancelled_calls_do_not_run(runtime, tmp_path):
    """A call that is cancelled while it waits is not run and not answered."""
    replica = runtime.fork(GATED)
    replica.ready()
    peer = replica.connect()
    gate = tmp_path / "gate"
    peer.sock.sendall(peer.frame(x=0, gate=str(gate)))
    replica.log(until="in [0]")
    peer.sock.sendall(peer.frame(x=1, gate="") + peer.frame(x=2, gate=""))
    peer.cancel(2)
    gate.touch()
    assert [peer.receive().id, peer.receive().id] == [1, 3]
    assert "in [2]" in replica.log(until="in [2]")


def test_a_gateway_that_is_gone_has_no_calls(runtime, tmp_path):
    """The calls of a connection that closed are forgotten, and those of others answered."""
    replica = runtime.fork(GATED)
    replica.ready()
    peer, lost = replica.connect(), replica.connect()
    gate = tmp_path / "gate"
    peer.sock.sendall(peer.frame(x=0, gate=str(gate)))
    replica.log(until="in [0]")
    lost.sock.sendall(lost.frame(x=1, gate=""))
    lost.sock.close()
    peer.sock.sendall(peer.frame(x=2, gate=""))
    gate.touch()
    assert [peer.receive().id, peer.receive().id] == [1, 2]
    # What ran together with 2, if anything, is the lost call, taken in the same turn as its end.
    assert peer.call(x=3, gate="") == 1


def test_a_full_queue_refuses(runtime, tmp_path):
    """Calls beyond the limit are refused at once, with what is to be done."""
    replica = runtime.fork(GATED, queue_limit=3)
    replica.ready()
    peer = replica.connect()
    gate = tmp_path / "gate"
    peer.sock.sendall(peer.frame(x=0, gate=str(gate)))
    replica.log(until="in [0]")
    peer.sock.sendall(b"".join(peer.frame(x=number, gate="") for number in range(1, 6)))
    gate.touch()
    replies = {reply.id: reply for reply in (peer.receive() for _ in range(6))}
    assert [number for number in replies if b"queue_full" in replies[number].body] == [5, 6]


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<IB", 2**31, 1),
        struct.pack("<IB", 1, 99),
        struct.pack("<IB", 5, 1) + b"abcd",
        "hello",
        "twice",
    ],
)
def test_a_malformed_frame_closes_only_its_connection(echo, bytes_sent):
    """Bytes that are no frame, or none that a gateway sends, end that connection and no other."""
    good, bad = echo.connect(), echo.connect()
    if bytes_sent == "hello":
        bytes_sent = encode_hello(bad.hello)
    elif bytes_sent == "twice":
        bytes_sent = bad.frame(x=1) * 2
    bad.sock.sendall(bytes_sent)
    assert bad.closed()
    assert good.call(x=1) == 1


def test_exit_ends_the_call_and_not_the_replica(runtime):
    """A function that calls sys.exit fails its call, and serves the next."""
    replica = runtime.fork(
        """
        @edge_function
        def f(x: int) -> int:
            sys.exit(x) if x else None
            return x
        """
    )
    replica.ready()
    peer = replica.connect()
    assert peer.call(x=3).message == "SystemExit: 3"
    assert peer.call(x=0) == 0


def test_coroutines_overlap_and_time_out_alone(runtime):
    """Calls of a coroutine function run at the same time, each with its own timeout."""
    replica = runtime.fork(ASYNC)
    replica.ready()
    peer = replica.connect()
    started_s = time.monotonic()
    frames = [peer.frame(s=9.0), *(peer.frame(s=0.1) for _ in range(20))]
    peer.sock.sendall(b"".join(frames))
    replies = [peer.receive() for _ in frames]
    assert [reply.body for reply in replies[:-1]] == [b"0.1"] * 20
    assert b"timed_out" in replies[-1].body
    assert time.monotonic() - started_s < 10
    assert "cancelled" in replica.log(until="cancelled")
    assert peer.call(s=0.011).message == "CancelledError"
    assert replica.page.run_started_s == 0.0


def test_coroutines_are_bounded_and_drained(runtime):
    """More calls than may run at once wait their turn, and a drain answers all of them."""
    replica = runtime.fork(ASYNC)
    replica.ready()
    peer = replica.connect()
    frames = [peer.frame(s=0.05) for _ in range(150)]
    peer.sock.sendall(b"".join(frames))
    replica.drain()
    assert sorted(peer.receive().id for _ in frames) == list(range(1, 151))
    assert peer.closed()
    assert runtime.exit_of(replica) == 0


def test_a_slow_reader_slows_only_itself(runtime):
    """A gateway that does not read is not read from, and costs the others nothing."""
    replica = runtime.fork(
        """
        @edge_function
        def f(x: int) -> str:
            return "x" * x
        """
    )
    replica.ready()
    slow, quick = replica.connect(), replica.connect()
    slow.sock.setblocking(False)
    frame = slow.frame(x=1_000_000)
    sent = 0
    for _ in range(500):
        try:
            slow.sock.sendall(slow.frame(x=1_000_000))
            sent += 1
        except BlockingIOError:
            break
        if sent % 50 == 0:
            assert len(quick.call(x=10)) == 10
    assert len(frame) < 100
    slow.sock.settimeout(20)
    assert len(quick.call(x=10)) == 10
    with open(f"/proc/{replica.pid}/statm") as statm:
        resident_bytes = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident_bytes < 400 * 1024 * 1024


def test_the_status_page_beats_and_shows_a_hang(runtime):
    """The page shows since when the user's code runs; the forkserver ends a hang on request."""
    replica = runtime.fork(
        """
        @edge_function
        def f(x: int) -> int:
            print("hanging")
            while True:
                time.sleep(1)
        """
    )
    replica.ready()
    assert 0 < replica.page.beat_s <= time.monotonic()
    assert replica.page.run_started_s == 0.0
    peer = replica.connect()
    before_s = time.monotonic()
    peer.sock.sendall(peer.frame(x=1))
    replica.log(until="hanging")
    assert before_s < replica.page.run_started_s < time.monotonic()
    assert runtime.kill(replica) == -signal.SIGKILL
    assert peer.closed()


def test_an_answer_says_how_sure_it_is_where_that_is_asked(runtime):
    """The reply carries it, so that a gateway need not read the body."""
    replica = runtime.fork(
        """
        from typing_extensions import TypedDict

        class Verdict(TypedDict):
            label: str
            confidence: float

        @edge_function(escalate_below=0.8, batch=4)
        def f(x: list[float]) -> list[Verdict]:
            return [{"label": "fire", "confidence": each} for each in x]
        """
    )
    replica.ready()
    peer = replica.connect()
    for sure in (0.25, 1.0):
        peer.sock.sendall(peer.frame(x=sure))
        assert peer.receive().confidence == pack_confidence(sure)
