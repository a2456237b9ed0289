"""The command line as a user runs it: a process, with an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without settings of ours, and with a state directory of the test's own."""
    inherited = {name: value for name, value in os.environ.items() if "EDGEFN_" not in name}
    return {**inherited, "EDGEFN_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}


@pytest.fixture
def edgefn(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs a command in the test's folder and returns what it printed."""

    def run(*arguments: str, code: int = 0, **options: Any) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edgefn", *arguments],
            cwd=tmp_path,
            env={**environment, **options.pop("env", {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr or code == 1
        return done

    return run
