"""The process beside the box: started again when it dies, ended when the box ends."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.box.companion import Companion

# Says in a file that it lives, and with the last line of it how it was told to end.
LIVES = """
import os, pathlib, signal, sys, time
from edgefn_runtime.process import die_with
die_with(os.getppid())
said = pathlib.Path(sys.argv[1])
def on_term(*_):
    said.with_suffix(".ended").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
with said.open("a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""
TIMEOUT_S = 20.0


def lived(said: Path) -> list[int]:
    """Returns the processes of all that lived so far."""
    return [int(line) for line in said.read_text().splitlines()] if said.exists() else []


def companion(folder: Path, code: str) -> tuple[Companion, Path]:
    (folder / "beside_a_box.py").write_text(code)
    said = folder / "said"
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"}
    return Companion("beside_a_box", [str(said)], environ=environ), said


async def test_it_is_started_again_and_ended_in_order(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One that was killed is followed by another; that one is told to end, and does."""
    beside, said = companion(tmp_path, LIVES)
    task = asyncio.create_task(beside.keep())
    await asyncio.to_thread(eventually, lambda: len(lived(said)) == 1)
    (first,) = lived(said)
    assert beside.pid == first
    os.kill(first, signal.SIGKILL)
    await asyncio.to_thread(eventually, lambda: len(lived(said)) == 2)
    second = lived(said)[1]
    assert beside.pid == second
    assert "beside_a_box ended (-9)" in caplog.text
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said.with_suffix(".ended").exists()
    assert beside.pid == 0


async def test_one_that_cannot_run_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To start it again would change nothing; the box goes on."""
    beside, _ = companion(tmp_path, "import sys; sys.exit(2)")
    async with asyncio.timeout(TIMEOUT_S):
        await beside.keep()
    assert "the box goes on without it" in caplog.text
