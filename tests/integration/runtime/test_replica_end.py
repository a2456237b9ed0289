"""However a replica or the forkserver ends, it is known, and nothing is left behind."""

import os
import signal
import threading
import time

import pytest

from edgefn_runtime.lifecycle import Kill, pack
from edgefn_runtime.wire import Outcome

ECHO = """
    @edge_function(batch=16)
    def f(x: list[int]) -> list[int]:
        time.sleep(0.001)
        return x
"""


@pytest.mark.parametrize(
    ("crash", "status"),
    [
        ("os.abort()", -signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_a_crash_is_reported(runtime, crash, status):
    """The forkserver says how a replica died, and its gateways see their connection end."""
    replica = runtime.fork(
        f"""
        import signal

        @edge_function
        def f(x: int) -> int:
            {crash}
            return x
        """
    )
    replica.ready()
    peer = replica.connect()
    peer.sock.sendall(peer.frame(x=1))
    assert peer.closed()
    assert runtime.exit_of(replica) == status


def test_what_a_replica_started_ends_with_it(runtime, gone):
    """Processes that the user's code started do not outlive a replica that is killed."""
    replica = runtime.fork(
        """
        import subprocess

        @edge_function
        def f(x: int) -> int:
            return subprocess.Popen(["sleep", "60"]).pid
        """
    )
    replica.ready()
    pid = replica.connect().call(x=1)
    runtime.kill(replica)
    gone(pid)


@pytest.mark.parametrize("how", ["drain", "sigterm"])
def test_a_drain_under_load_loses_nothing(runtime, how):
    """Every call that was sent is answered, those that arrive after the order included."""
    replica = runtime.fork(ECHO)
    replica.ready()
    peers = [replica.connect() for _ in range(4)]
    answered = []
    stop = threading.Event()

    def load(peer):
        count = 0
        while not stop.is_set():
            peer.sock.sendall(b"".join(peer.frame(x=number) for number in range(20)))
            replies = [peer.receive() for _ in range(20)]
            assert all(reply.outcome == Outcome.RESULT for reply in replies)
            count += 20
        answered.append(count)
        peer.sock.close()

    threads = [threading.Thread(target=load, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    if how == "drain":
        replica.drain()
    else:
        os.kill(replica.pid, signal.SIGTERM)
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert len(answered) == 4
    assert all(answered)
    assert runtime.exit_of(replica) == 0
    assert not os.path.exists(replica.config.socket)


def test_a_drained_replica_leaves_idle_gateways(runtime):
    """A gateway that sends nothing does not hold a drain up."""
    replica = runtime.fork(ECHO)
    replica.ready()
    peer = replica.connect()
    assert peer.call(x=1) == 1
    replica.drain()
    assert peer.closed()
    assert runtime.exit_of(replica) == 0


def test_a_drain_does_not_wait_for_what_never_ends(runtime):
    """Tasks and threads that the user's code left behind do not keep a drained replica."""
    replica = runtime.fork(
        """
        import asyncio, threading

        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass

        @edge_function
        async def f(x: int) -> int:
            f.task = asyncio.create_task(stubborn())
            f.waiting = asyncio.create_task(asyncio.to_thread(time.sleep, 60))
            threading.Thread(target=time.sleep, args=(60,)).start()
            return x
        """
    )
    replica.ready()
    peer = replica.connect()
    assert peer.call(x=1) == 1
    replica.drain()
    assert peer.closed()
    assert runtime.exit_of(replica) == 0


def test_a_replica_without_its_box_ends(runtime):
    """The end of the lifecycle socket is the end of the replica."""
    replica = runtime.fork(ECHO)
    replica.ready()
    replica.messages.sock.shutdown(2)
    assert runtime.exit_of(replica) == 1


def test_signals_of_a_terminal_leave_it_alone(runtime):
    """A Ctrl-C that reaches the forkserver's group ends neither it nor its replicas."""
    replica = runtime.fork(ECHO)
    replica.ready()
    os.kill(runtime.process.pid, signal.SIGINT)
    os.kill(runtime.process.pid, signal.SIGTERM)
    assert replica.connect().call(x=1) == 1
    other = runtime.fork(ECHO)
    other.ready()


def test_replicas_die_with_the_forkserver(own_runtime, gone):
    """A forkserver that is killed takes its replicas with it."""
    replicas = [own_runtime.fork(ECHO) for _ in range(3)]
    for replica in replicas:
        replica.ready()
    pids = [replica.pid for replica in replicas]
    own_runtime.process.kill()
    gone(*pids)


def test_all_die_with_the_box(own_runtime, gone):
    """When the box's end of the socket closes, all processes are gone within two seconds."""
    hanging = own_runtime.fork("while True: time.sleep(1)")
    serving = own_runtime.fork(ECHO)
    serving.ready()
    pids = (hanging.pid, serving.pid, own_runtime.process.pid)
    own_runtime.sock.close()
    gone(*pids)


def test_the_forkserver_has_one_thread(own_runtime):
    """Nothing that is imported before the fork starts a thread: a fork would lose it."""
    own_runtime.fork(ECHO).ready()
    assert len(os.listdir(f"/proc/{own_runtime.process.pid}/task")) == 1


def test_an_unknown_replica_is_not_killed(own_runtime):
    """A Kill for a replica that is gone already does nothing."""
    replica = own_runtime.fork(ECHO)
    replica.ready()
    own_runtime.kill(replica)
    own_runtime.sock.sendall(pack(Kill(replica.config.replica)))
    own_runtime.fork(ECHO).ready()
