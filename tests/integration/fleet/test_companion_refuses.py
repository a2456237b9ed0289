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
