"""A box that is offered twice what it can do, by the open-loop generator of the benches."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

GENERATOR = Path(__file__).resolve().parents[2] / "bench" / "openloop.py"

SLOW = """
import time

from edgefn import edge_function

@edge_function(deadline_ms=80, scale=(1, 1))
def slow(x: int) -> int:
    time.sleep(0.01)
    return x
"""


def test_what_is_too_much_is_refused_and_nothing_else_breaks(
    shared_box: Any, make_bundle: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Each call is answered once, with its result or a refusal; then the box is as before."""
    shared_box.admin.deploy(make_bundle(SLOW))
    at_s = np.arange(300) / 200.0
    statuses = _statuses(shared_box.url, at_s)
    assert len(statuses) == len(at_s)
    assert set(statuses.tolist()) <= {200, 429, 503, 504}
    assert 10 < np.count_nonzero(statuses == 200) < len(at_s)
    counts = eventually(lambda: _all_counted(shared_box, len(at_s)))
    assert counts.outcomes[200] == np.count_nonzero(statuses == 200)
    assert shared_box.call("slow", deadline_ms=5000, x=7).json() == 7
    (replica,) = shared_box.replicas("slow")
    assert replica.ongoing == 0


def _all_counted(box: Any, calls: int) -> Any:
    (counts,) = box.admin.counts().functions
    return counts if sum(counts.outcomes.values()) == calls else None


def _statuses(url: str, at_s: Any) -> Any:
    split = urlsplit(url)
    target = {
        "function": "slow",
        "body": msgspec.msgpack.encode({"x": 1}),
    }
    job = {
        "host": split.hostname,
        "port": split.port,
        "targets": [target],
        "at_s": at_s.tobytes(),
        "which": np.zeros(len(at_s), dtype=np.int16).tobytes(),
    }
    done = subprocess.run(
        [sys.executable, str(GENERATOR)],
        input=msgspec.msgpack.encode(job), stdout=subprocess.PIPE, check=True, timeout=60,
    )  # fmt: skip
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as recording:
        return recording["status"]
