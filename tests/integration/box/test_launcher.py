"""The launcher with a real forkserver and real replicas, without gateways."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.box import watchdog
from edgefn.box.deaths import Death
from edgefn.box.environments import Environments
from edgefn.box.launcher import Launcher
from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs
from edgefn.box.replica import Replica
from edgefn.box.replica_source import LaunchFailed
from edgefn.box.revision import Revision
from edgefn.bundle.build import Bundle
from edgefn_runtime.lifecycle import Failed, Ready

ECHO = """
    import sys, time
    from edgefn import edge_function

    @edge_function(timeout_s=1.0)
    def echo(x: int) -> int:
        return x
"""


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.deaths: list[Death] = []
        self.died = asyncio.Event()

    def replica_changed(self, replica: Replica) -> None:
        self.states.append((replica.id, replica.state))

    def replica_died(self, replica: Replica, death: Death) -> None:
        self.deaths.append(death)
        self.died.set()


class Bench:
    """A launcher with all that it needs."""

    def __init__(self, folder: Path, run_directory: Path) -> None:
        self.folder = folder
        self.run_directory = run_directory
        self.catalog: dict[tuple[str, int], Revision] = {}
        self.listener = Listener()
        self.logs = Logs(LogFiles(folder / "logs"))
        self.drained = asyncio.Event()
        self.launcher = Launcher(
            catalog=self.catalog,
            environments=Environments(run_directory / "environments"),
            run_directory=run_directory,
            logs=self.logs,
            listener=self.listener,
            before_drain=self._before_drain,
        )

    async def _before_drain(self) -> None:
        self.drained.set()

    def revision(self, bundle: Bundle, code: str | None = None) -> Revision:
        """Writes a bundle out, perhaps with other code than it was built from."""
        manifest = bundle.manifest
        root = self.folder / "root"
        root.mkdir()
        for file in manifest.files:
            data = bundle.files[file.sha256].read_bytes()
            (root / file.path).write_bytes(data if code is None else code.encode())
        revision = Revision(number=1, digest=manifest.digest(), manifest=manifest, root=root)
        self.catalog[revision.function, 1] = revision
        return revision


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="edgefn-") as run_directory:
        bench = Bench(tmp_path, Path(run_directory))
        keeping = asyncio.create_task(bench.launcher.keep())
        yield bench
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await bench.logs.aclose()
        assert list(bench.run_directory.iterdir()) == []


MakeBundle = Callable[[str], Bundle]


async def test_a_lease_is_taken_checked_and_given_back(
    bench: Bench, make_bundle: MakeBundle
) -> None:
    """The replica starts, is ready, drains after the gateways know, and is gone."""
    revision = bench.revision(make_bundle(ECHO))
    replica, outcome = await bench.launcher.stage(revision)
    assert isinstance(outcome, Ready)
    assert outcome.schema == revision.manifest.schema
    assert bench.launcher.check(replica.id) == "ready"
    assert replica.pid is not None
    bench.launcher.give_back(replica.id)
    bench.launcher.give_back(replica.id)
    assert bench.launcher.check(replica.id) == "draining"
    assert not bench.drained.is_set()
    await bench.launcher.gone("echo")
    assert bench.drained.is_set()
    assert bench.launcher.check(replica.id) == "gone"
    assert [state for _, state in bench.listener.states] == [
        "starting",
        "ready",
        "draining",
        "gone",
    ]
    assert bench.listener.deaths == []


async def test_a_starting_replica_that_is_given_back_is_ended(
    bench: Bench, make_bundle: MakeBundle
) -> None:
    """At once: it has no calls, and it is no death."""
    bench.revision(make_bundle(ECHO), code="import time\ntime.sleep(60)")
    await asyncio.sleep(0)  # the forkserver is started
    replica = bench.launcher.take("echo", 1, "python")
    bench.launcher.give_back(replica.id)
    await bench.launcher.gone("echo")
    assert bench.listener.deaths == []


async def test_a_start_that_takes_too_long_is_given_up(
    bench: Bench, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says how long it had."""
    monkeypatch.setattr(watchdog, "START_TIMEOUT_S", 1.5)
    revision = bench.revision(make_bundle(ECHO), code="import time\ntime.sleep(60)")
    staging = asyncio.create_task(bench.launcher.stage(revision))
    while not staging.done():
        for replica in bench.launcher.replicas():
            bench.launcher.check(replica.id)
        await asyncio.sleep(0.01)
    _, outcome = staging.result()
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "it did not start within 1.5 s"
    assert [death.cause for death in bench.listener.deaths] == ["start"]


async def test_a_start_that_crashes_is_explained(bench: Bench, make_bundle: MakeBundle) -> None:
    """Though the replica itself could say nothing; what it had printed is in the log."""
    code = "import os\nprint('about to', flush=True)\nos.abort()"
    revision = bench.revision(make_bundle(ECHO), code=code)
    replica, outcome = await bench.launcher.stage(revision)
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "killed by SIGABRT"
    lines, _ = bench.logs.of("echo").ring.newest(100)
    assert "about to" in [line.text for line in lines]
    assert lines[-1].text == f"edgefn: replica {replica.id}: killed by SIGABRT"


async def test_a_replica_that_no_longer_listens_is_ended(
    bench: Bench, make_bundle: MakeBundle
) -> None:
    """If a gateway says so and it is true; a false suspicion does no harm."""
    replica, _ = await bench.launcher.stage(bench.revision(make_bundle(ECHO)))
    bench.launcher.suspect(replica.id, "it does not answer")
    await asyncio.sleep(0.7)
    assert bench.launcher.check(replica.id) == "ready"
    os.unlink(replica.socket)
    bench.launcher.suspect(replica.id, "it does not answer")
    async with asyncio.timeout(5.0):
        await bench.listener.died.wait()
    assert bench.listener.deaths[0].reason == "lost: it does not answer"
    bench.launcher.suspect(replica.id, "it is gone already")


async def test_no_descriptor_left_is_a_refusal_not_a_crash(
    bench: Bench, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened before is closed again, and the next try works."""
    revision = bench.revision(make_bundle(ECHO))
    await bench.launcher.stage(revision)

    def no_pipe() -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("edgefn.box.process.os.pipe", no_pipe)
        with pytest.raises(LaunchFailed, match="Too many open files"):
            bench.launcher.take("echo", 1, "python")
    _, outcome = await bench.launcher.stage(revision)
    assert isinstance(outcome, Ready)
    await bench.launcher.drain_all(5.0)
