"""Boxes that are started and stopped from the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def detached(edgefn: Command) -> Iterator[dict[str, str]]:
    """A box in the background."""
    yield json.loads(edgefn("up", "--detach", "--port", "0", "--json").stdout)
    edgefn("down", code=0)


def test_a_detached_box_is_there_when_up_returns(
    edgefn: Command, detached: dict[str, str], tmp_path: Path
) -> None:
    """It answers at its URL; a second one on the same state is a conflict and changes nothing."""
    status = json.loads(edgefn("status", "--json", "--url", detached["url"]).stdout)
    assert (status["pid"], status["state_dir"]) == (detached["pid"], str(tmp_path / "state"))
    for how in (["--detach"], []):
        refused = edgefn("up", *how, "--port", "0", code=3)
        assert str(detached["pid"]) in refused.stderr
    edgefn("ls", "--url", detached["url"])


def test_down_without_a_box_fails(edgefn: Command) -> None:
    """There is nothing to stop, and a script should know."""
    assert "no box runs" in edgefn("down", code=1).stderr


def test_ray_is_for_a_box_of_a_fleet(edgefn: Command) -> None:
    """A box alone says what is missing, and ends as for any wrong option."""
    assert "--hub, or --join URL" in edgefn("up", "--ray", "--port", "0", code=2).stderr


def test_a_box_in_the_foreground_greets_and_ends_with_ctrl_c(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The banner has the URL and the way to stop; Ctrl-C drains and ends with 0."""
    box = subprocess.Popen(
        [sys.executable, "-P", "-m", "edgefn", "up", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert box.stdout is not None
    banner = [box.stdout.readline() for _ in range(5)]
    assert "http://127.0.0.1:" in banner[0]
    assert "none yet" in banner[1] and "Ctrl-C" in banner[4]
    os.killpg(box.pid, signal.SIGINT)
    assert box.stdout.read() == ""
    assert box.wait(30) == 0
    box.stdout.close()


def test_configuration_errors_end_with_2(edgefn: Command) -> None:
    """A port in use, an open address, a misspelt variable: one sentence each."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in edgefn("up", "--port", port, code=2).stderr
        assert port in edgefn("up", "--detach", "--port", port, code=2).stderr
    assert "insecure" in edgefn("up", "--host", "0.0.0.0", "--port", "0", code=2).stderr
    assert "--port=70000" in edgefn("up", "--port", "70000", code=2).stderr
    wrong = edgefn("ls", env={"EDGEFN_ULR": "http://x"}, code=2)
    assert "did you mean EDGEFN_URL?" in wrong.stderr
    assert "edgefn up" in edgefn("ls", "--url", "http://127.0.0.1:9", code=1).stderr


def test_debug_shows_the_traceback(edgefn: Command) -> None:
    """Only when it is asked for."""
    shown = edgefn("--debug", "ls", "--url", "http://127.0.0.1:9", code=1)
    assert "Traceback" in shown.stderr and "Unreachable" in shown.stderr
