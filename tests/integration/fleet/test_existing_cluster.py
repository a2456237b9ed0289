"""`edgefn deploy --ray` on a Ray cluster that somebody else keeps: two machines, with a token."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from edgefn.client.admin import AdminClient
from edgefn.desired.ray import AUTH_MODE
from edgefn.errors import EdgefnError
from edgefn.fleet.environment import TOKEN_PATH, ray_environment
from edgefn.fleet.machine import PREFIX, Machine, NotStarted
from edgefn.fleet.role import Role, start_arguments
from edgefn_runtime.lease_words import STATE_DIR

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
    pytest.mark.skipif("TEST_LONG" not in os.environ, reason="takes minutes"),
]

CODE = """
from edgefn import edge_function

@edge_function(scale=(1, 2))
def double(x: int) -> int:
    return 2 * x
"""
BOXES = (("hub", "cloud", "dc-1"), ("plant-1", "edge", "plant-1"))


@dataclass(frozen=True)
class Kept:
    """A cluster, and where the boxes of its machines are to be."""

    address: str
    states: dict[str, Path]
    environ: dict[str, str]
    folder: Path

    async def edgefn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as somebody on the machine of the head does."""
        return await asyncio.to_thread(
            subprocess.run, [sys.executable, "-P", "-m", "edgefn", *arguments],
            env=self.environ, capture_output=True, text=True, timeout=150,
        )  # fmt: skip

    def box(self, name: str) -> AdminClient:
        """Returns a client of a box."""
        return AdminClient(json.loads((self.states[name] / "lock").read_text())["url"])

    def leases(self) -> dict[str, int]:
        """Returns how many leases are held on each box, by what the hub knows."""
        with self.box("hub") as hub:
            return {
                box.box: sum(v.leases for each in box.report.functions for v in each.variants)
                for box in hub.fleet().boxes
                if box.report is not None
            }

    async def until_leased(self) -> None:
        """Waits until Ray holds one lease on each box."""
        async with asyncio.timeout(90):
            while self.leases() != dict.fromkeys(self.states, 1):  # noqa: ASYNC110 - of others
                await asyncio.sleep(0.2)

    def pids(self, name: str) -> list[int]:
        """Returns the processes of a box that runs, and of its replicas."""
        with self.box(name) as box:
            status = box.status()
        return [status.pid, *(r.pid for each in status.functions for r in each.replicas)]


def oom_score(pid: int) -> int:
    """Returns how much sooner a process goes than others when memory runs out."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def told(environ: dict[str, str], state: Path) -> dict[str, str]:
    """Returns the environment of Ray on one machine: its box has ports of its own."""
    return {**environ, STATE_DIR: str(state), "EDGEFN_PORT": "0", "EDGEFN_LISTEN": "127.0.0.1:0"}


async def started(stack: AsyncExitStack, role: Role, environ: dict[str, str], folder: Path) -> str:
    """Starts the Ray of a machine, to be ended with the stack; returns the address of its head."""
    arguments = start_arguments(role, host="127.0.0.1", folder=folder)
    for last in (False, False, True):  # Ray itself gives up after 30 s
        machine = await Machine.start(arguments, environ, folder)
        stack.push_async_callback(machine.kill)
        try:
            return await machine.started()
        except NotStarted:
            if last:
                raise
            await machine.kill()
    raise AssertionError


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    """One for all tests of the module."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "token").write_text("0123456789abcdef" * 4)
    environ = ray_environment(os.environ, state_dir=folder, token_file=folder / "token")
    states = {name: folder / name for name, _, _ in BOXES}
    async with AsyncExitStack() as stack:
        head = ""
        for name, tier, site in BOXES:
            ray = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
            labels = (("tier", tier), ("site", site), ("box", name))
            role = Role(head=head, token="", labels=labels)
            address = await started(stack, role, told(environ, states[name]), ray)
            head = head or address
        del environ[STATE_DIR]
        cluster = Kept(head, states, environ, folder)
        try:
            yield cluster
        finally:
            await asyncio.gather(
                *(cluster.edgefn("down", "--state-dir", str(state)) for state in states.values())
            )


async def test_each_machine_gets_a_box_and_ray_leases_there(kept):
    """A hub on the head's machine, one that joined it on the other; left alone the next time."""
    source = kept.folder / "double.py"
    source.write_text(CODE)
    first = await kept.edgefn("deploy", str(source), "--ray", kept.address)
    assert first.returncode == 0, first.stderr
    assert "hub, plant-1" in first.stderr
    with kept.box("hub") as hub:
        called = await kept.edgefn("call", "double", '{"x": 21}', "--url", hub.url)
    assert called.stdout.strip() == "42", called.stderr
    await kept.until_leased()
    hub_pid, before = kept.pids("hub")[0], kept.pids("plant-1")
    assert oom_score(hub_pid) == 0
    again = await kept.edgefn("deploy", str(source), "--ray", kept.address)
    assert again.returncode == 0, again.stderr
    assert kept.pids("hub")[0] == hub_pid
    assert kept.pids("plant-1") == before
    await kept.until_leased()


async def test_a_box_that_dies_is_started_again(kept):
    """By the actor on its machine, with what it served, and Ray leases there again."""
    box, _ = kept.pids("plant-1")
    os.kill(box, signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            with suppress(EdgefnError, ValueError):
                if kept.pids("plant-1")[0] != box:
                    break
            await asyncio.sleep(0.2)
    await kept.until_leased()


async def test_who_is_not_let_in_hears_why(kept):
    """With another token, or where no head is."""
    (kept.folder / "wrong").write_text("fedcba9876543210" * 4)
    stranger = replace(kept, environ={**kept.environ, TOKEN_PATH: str(kept.folder / "wrong")})
    refused = await stranger.edgefn("deploy", str(kept.folder / "double.py"), "--ray", kept.address)
    assert refused.returncode == 1, refused.stderr
    assert "has the token of" in refused.stderr
    nowhere = await kept.edgefn("deploy", str(kept.folder / "double.py"), "--ray", "127.0.0.1:1")
    assert nowhere.returncode == 1
    assert "nobody answers at 127.0.0.1:1" in nowhere.stderr


async def test_a_cluster_that_asks_for_no_token_is_refused(kept):
    """Before anything is started in it."""
    environ = {k: v for k, v in kept.environ.items() if k not in (AUTH_MODE, TOKEN_PATH)}
    environ[AUTH_MODE] = "disabled"
    async with AsyncExitStack() as stack:
        ray = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
        role = Role(head="", token="", labels=(("tier", "cloud"), ("site", "s"), ("box", "open")))
        address = await started(stack, role, told(environ, kept.folder / "open"), ray)
        refused = await kept.edgefn("deploy", str(kept.folder / "double.py"), "--ray", address)
    assert refused.returncode == 1, refused.stderr
    assert "asks nobody for a token" in refused.stderr
    assert not (kept.folder / "open" / "state.db").exists()
