"""An environment that nobody uses goes cold, and is warm again when a call comes."""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from edgefn.box.control_loop import ControlLoop
from edgefn.box.environments import Environments
from edgefn.box.launcher import Launcher
from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.bundle.build import Bundle
from edgefn.gateway.control import FunctionReport, Report
from edgefn_runtime.manifest import Environment, Scale

WITHIN_S = 30.0
CODE = """
    from edgefn import edge_function

    @edge_function
    def echo(x: int) -> int:
        return x
"""


class Bench:
    """A control loop at work, and a function with an environment of its own.

    Its interpreter is that of the test: what is installed in it does not matter here.
    """

    def __init__(self, folder: Path, run_directory: Path, bundle: Bundle) -> None:
        self._not_ours = forkservers()
        manifest = msgspec.structs.replace(
            bundle.manifest,
            environment=Environment(lock="", python="3"),
            spec=msgspec.structs.replace(
                bundle.manifest.spec, scale=Scale(min=0, max=1, idle_s=0.2)
            ),
        )
        revision = Revision(number=1, digest="d", manifest=manifest, root=folder / "root")
        for file in manifest.files:
            path = revision.root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bundle.files[file.sha256].read_bytes())
        environments = Environments(folder / "environments")
        python = environments.python(revision.environment)
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.logs = Logs(LogFiles(folder / "logs"))
        self.totals = Totals()
        self.control = ControlLoop(totals=self.totals, publish=lambda routes: None)
        self.launcher = Launcher(
            catalog={("echo", 1): revision},
            environments=environments,
            run_directory=run_directory,
            logs=self.logs,
            listener=self.control,
            before_drain=self._before_drain,
        )
        self.control.attach(self.launcher)
        self.launcher.want({revision.environment})
        self.control.serve(revision, load_s=0.0)

    async def _before_drain(self) -> None:
        """There is no gateway to wait for."""

    def wait(self, calls: int) -> None:
        """Has so many calls wait for a replica from now on, as a gateway reports it."""
        report = FunctionReport(name="echo", waiting={"python": calls})
        self.totals.add(Report(0, (report,), 1))

    def forkservers(self) -> set[int]:
        return forkservers() - self._not_ours

    def states(self) -> list[str]:
        return [one.state for one in self.launcher.replicas()]


@pytest.fixture
async def bench(
    tmp_path: Path, make_bundle: Callable[[str], Bundle], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setattr("edgefn.scaling.scaler.WARM_S", 1.0)
    with tempfile.TemporaryDirectory(prefix="edgefn-") as run_directory:
        bench = Bench(tmp_path, Path(run_directory), make_bundle(CODE))
        loops = bench.launcher.keep(), bench.control.run()
        tasks = [asyncio.create_task(one) for one in loops]
        yield bench
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bench.logs.aclose()


def forkservers() -> set[int]:
    """Returns the forkservers that this process has started."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if int(stat[1]) == os.getpid() and "edgefn_runtime.forkserver" in command:
                found.add(int(entry.name))
    return found


async def eventually(holds: Callable[[], bool]) -> None:
    end_s = asyncio.get_running_loop().time() + WITHIN_S
    while not holds():
        assert asyncio.get_running_loop().time() < end_s
        await asyncio.sleep(0.02)


async def test_a_cold_environment_is_started_by_the_next_call(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Its forkserver ends some time after its last replica, and nothing in the log is a failure."""
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        bench.wait(1)
        await eventually(lambda: bench.states() == ["ready"])
        assert len(bench.forkservers()) == 2, "that of the box and that of the function"
        bench.wait(0)
        await eventually(lambda: bench.states() == [])
        await eventually(lambda: len(bench.forkservers()) == 1)
    assert caplog.records == []
