"""Leases of a real box: whoever holds them comes and goes, its processes stay."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from edgefn.bundle.build import Bundle
from edgefn_runtime.lease_client import AsyncLease
from edgefn_runtime.lease_words import LeaseLost, NoBox, NotLeased, socket_path
from edgefn_runtime.leasing import GiveBack, LeaseState, LeaseTaken, encode

MakeBundle = Callable[..., Bundle]
Eventually = Callable[..., Any]

RESTING = """
import asyncio
import os
from edgefn import edge_function

@edge_function(name="{name}", scale={{"min": 0, "idle_s": 0.2}})
def resting(x: int) -> int:
    if x < 0:
        os._exit(1)
    return {answer}
"""

HOLDER = """
import asyncio, sys
from edgefn_runtime.lease_client import AsyncLease

async def hold(path, name, count):
    leases = [await AsyncLease.connect(path) for _ in range(int(count))]
    for lease in leases:
        print((await lease.take(name, "python", holder="a test")).pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(hold(*sys.argv[1:]))
"""


class Lease:
    """A lease that a test holds; it is given back at the end of the block."""

    def __init__(self, path: str) -> None:
        self._runner = asyncio.Runner()
        self._lease = self._runner.run(AsyncLease.connect(path))

    def take(self, name: str, variant: str, *, holder: str) -> LeaseTaken:
        return self._runner.run(self._lease.take(name, variant, holder=holder))

    def check(self) -> LeaseState:
        return self._runner.run(self._lease.check())

    def say(self, data: bytes) -> None:
        self._lease._connection._writer.write(data)

    def answered(self) -> bytes:
        return self._runner.run(self._lease._connection._reader.read())

    def drop(self) -> None:
        self._lease.drop()
        with self._runner, suppress(OSError):
            self._runner.run(self._lease._connection._writer.wait_closed())

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._lease.__aexit__(None, None, None))
        self.drop()


class Holder:
    """A process that holds leases, until it is killed."""

    def __init__(self, box: Any, name: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", HOLDER, socket_path(box.state_dir), name, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.pids = sorted(int(self._process.stdout.readline()) for _ in range(count))

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def pids(box: Any, name: str) -> list[int]:
    return sorted(replica.pid for replica in box.replicas(name))


def leases(box: Any, name: str) -> int:
    return int(box.admin.function(name).variants[0].leases)


def at_rest(name: str, answer: str = "x") -> str:
    return RESTING.format(name=name, answer=answer)


def test_processes_outlive_who_holds_them(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """A holder that is killed loses them; they answer, and the next one gets the very same."""
    shared_box.admin.deploy(make_bundle(at_rest("kept")))
    holder = Holder(shared_box, "kept", 2)
    try:
        assert pids(shared_box, "kept") == holder.pids
        assert leases(shared_box, "kept") == 2
    finally:
        holder.kill()
    eventually(lambda: leases(shared_box, "kept") == 0)
    assert shared_box.call("kept", x=3).json() == 3
    assert pids(shared_box, "kept") == holder.pids
    path = socket_path(shared_box.state_dir)
    with Lease(path) as one, Lease(path) as two:
        taken = [lease.take("kept", "python", holder="the next") for lease in (one, two)]
        assert sorted(lease.pid for lease in taken) == holder.pids
        assert all(lease.adopted for lease in taken)
        assert one.check().healthy
    eventually(lambda: not shared_box.admin.function("kept").replicas)


def test_one_given_back_is_drained_and_the_other_stays(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Also if its holder ends in the same moment."""
    shared_box.admin.deploy(make_bundle(at_rest("given")))
    path = socket_path(shared_box.state_dir)
    with Lease(path) as kept:
        stays = kept.take("given", "python", holder="a test")
        given = Lease(path)
        goes = given.take("given", "python", holder="a test")
        assert stays.pid != goes.pid
        given.say(encode(GiveBack()))
        given.drop()
        eventually(lambda: pids(shared_box, "given") == [stays.pid])
        assert kept.check().replica == stays.replica
    eventually(lambda: not shared_box.admin.function("given").replicas)


def test_a_lease_does_not_notice_a_deployment(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """It is well before, during and after it; another process answers, and no call fails."""
    shared_box.admin.deploy(make_bundle(at_rest("rolled", "1")))
    with Lease(socket_path(shared_box.state_dir)) as lease:
        first = lease.take("rolled", "python", holder="a test")
        stop = threading.Event()
        answers: list[tuple[int, Any]] = []

        def call() -> None:
            while not stop.is_set():
                response = shared_box.call("rolled", x=1)
                answers.append((response.status, response.json()))

        caller = threading.Thread(target=call)
        caller.start()
        try:
            shared_box.admin.deploy(make_bundle(at_rest("rolled", "2")))
            eventually(lambda: answers and answers[-1] == (200, 2))
        finally:
            stop.set()
            caller.join()
        assert {status for status, _ in answers} == {200}
        state = eventually(lambda: (now := lease.check()).replica and now)
        assert state.healthy
        assert state.replica != first.replica


def test_a_cold_call_and_a_later_lease_share_a_process(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """The call does not wait for the lease, which finds what the call started."""
    bundle = make_bundle(at_rest("cold").replace('"idle_s": 0.2', '"idle_s": 30'))
    shared_box.admin.deploy(bundle)
    assert shared_box.call("cold", x=4).json() == 4
    (pid,) = pids(shared_box, "cold")
    with Lease(socket_path(shared_box.state_dir)) as lease:
        taken = lease.take("cold", "python", holder="a test")
        assert (taken.pid, taken.adopted) == (pid, True)
    assert pids(shared_box, "cold") == [pid], "its own scaler still wants it"


def test_what_dies_again_and_again_is_no_lease(shared_box: Any, make_bundle: MakeBundle) -> None:
    """A quarantined variant makes its leases unwell, and gives no others."""
    shared_box.admin.deploy(make_bundle(at_rest("dying")))
    path = socket_path(shared_box.state_dir)
    with Lease(path) as lease:
        lease.take("dying", "python", holder="a test")
        while shared_box.admin.function("dying").state == "serving":
            shared_box.call("dying", x=-1)
        state = lease.check()
        assert not state.healthy
        assert "replicas died" in state.reason
        with Lease(path) as another, pytest.raises(NotLeased, match="replicas died") as refused:
            another.take("dying", "python", holder="a test")
        assert refused.value.detail == {"code": "quarantined"}


def test_nonsense_costs_a_connection_and_nothing_else(
    shared_box: Any, eventually: Eventually
) -> None:
    """What is no message of the protocol, and what comes out of turn."""
    path = socket_path(shared_box.state_dir)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with Lease(path) as lease, pytest.raises(LeaseLost):
        lease.check()
    with Lease(path) as lease:
        lease.say(b"\xff" * 8)
        assert lease.answered() == b""
    eventually(lambda: "a holder of leases is cut off" in shared_box.errors)


def test_a_box_that_starts_again_gives_leases_anew(
    start_box: Callable[..., Any], make_bundle: MakeBundle
) -> None:
    """Those from before are lost to their holders; between the two there is no box."""
    box = start_box()
    box.admin.deploy(make_bundle(at_rest("again")))
    with Lease(socket_path(box.state_dir)) as lease:
        first = lease.take("again", "python", holder="a test")
        assert box.end(signal.SIGTERM) == 0
        with pytest.raises(LeaseLost):
            lease.check()
    with pytest.raises(NoBox, match="edgefn up"):
        socket_path(box.state_dir)
    box = start_box()
    with Lease(socket_path(box.state_dir)) as lease:
        second = lease.take("again", "python", holder="a test")
        assert second.pid != first.pid
        assert pids(box, "again") == [second.pid]
