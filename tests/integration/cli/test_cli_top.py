"""`edgefn top` and `edgefn route` on a box that runs."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def url(edgefn: Command) -> Iterator[str]:
    """Of a box in the background."""
    yield json.loads(edgefn("up", "--detach", "--port", "0", "--json").stdout)["url"]
    with suppress(AssertionError):  # a test may have ended it
        edgefn("down")


def test_one_interval_as_text_and_as_json(edgefn: Command, url: str) -> None:
    """For scripts; without a box there is nothing to show."""
    text = edgefn("top", "--once", "--every", "0.2", "--url", url).stdout
    assert "nothing is deployed" in text
    told = json.loads(edgefn("top", "--once", "--json", "--every", "0.2", "--url", url).stdout)
    assert (told["calls_per_s"], told["functions"]) == (0.0, [])
    edgefn("route", "explain", "nothing", "--url", url, code=1)
    edgefn("down")
    assert "no box answers" in edgefn("top", "--once", "--url", url, code=1).stderr


def test_the_live_view_says_that_the_box_went_away_and_ends_with_ctrl_c(
    edgefn: Command, environment: dict[str, str], url: str, tmp_path: Path
) -> None:
    """The terminal is left as it was found."""
    ours, its = pty.openpty()
    top = subprocess.Popen(
        [sys.executable, "-P", "-m", "edgefn", "top", "--every", "0.2", "--url", url],
        cwd=tmp_path, env={**environment, "TERM": "xterm", "COLUMNS": "60", "LINES": "20"},
        stdin=its, stdout=its, stderr=its,
    )  # fmt: skip
    os.close(its)
    with closing(os.fdopen(ours, "rb", buffering=0)) as screen:
        _read_until(screen, b"calls/s")
        edgefn("down")
        _read_until(screen, b"no box")
        top.send_signal(signal.SIGINT)
        last = _read_until(screen, b"\x1b[?1049l")
    assert top.wait(20) == 0
    assert b"Traceback" not in last


def _read_until(screen: object, mark: bytes) -> bytes:
    seen = b""
    while mark not in seen:
        seen += screen.read(4096)  # type: ignore[attr-defined]
    return seen
