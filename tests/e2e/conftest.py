"""A box with the three ready-made functions, as a user would have it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("diagnosis", "monitoring", "voice")


def edgefn(*arguments: str) -> str:
    """Runs the CLI and returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", "edgefn", *arguments],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def functions() -> Path:
    """The folder of the ready-made functions."""
    return ROOT / "functions"


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory, functions: Path) -> Iterator[str]:
    """The URL of a box that serves all three."""
    state = str(tmp_path_factory.mktemp("box"))
    up = edgefn("up", "--detach", "--json", "--port", "0", "--state-dir", state)
    try:
        address = json.loads(up)["url"]
        for name in NAMES:
            edgefn("deploy", str(functions / name), "--url", address)
        yield address
    finally:
        edgefn("down", "--state-dir", state)
