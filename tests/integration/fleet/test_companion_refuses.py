"""When a companion does not start, and what it says."""

import os
import subprocess
import sys

import pytest

from edgefn_runtime.lease_words import STATE_DIR


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"RAY_AUTH_MODE": "disabled", STATE_DIR: "somewhere"}, "RAY_AUTH_MODE=disabled"),
        ({STATE_DIR: ""}, "which box?"),
    ],
)
def test_it_says_why(environ, says):
    """An environment that opens Ray to everyone, or names no box, is refused with a sentence."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "edgefn.fleet", "--host", "127.0.0.1"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_cluster_that_is_not_there_is_not_waited_for(tmp_path):
    """A deployment says at once that nobody answers, or that it would be an open one."""
    command = [sys.executable, "-P", "-m", "edgefn", "deploy", str(tmp_path)]
    for mode, says in (("token", "nobody answers at 127.0.0.1:1"), ("disabled", "RAY_AUTH_MODE")):
        ended = subprocess.run(
            [*command, "--ray", "127.0.0.1:1"],
            env={**os.environ, "RAY_AUTH_MODE": mode},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode != 0
        assert says in ended.stderr
        assert "Traceback" not in ended.stderr
