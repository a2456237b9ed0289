"""Replicas of a real box follow its load."""

import threading
from collections.abc import Callable
from typing import Any

from edgefn.bundle.build import Bundle

MakeBundle = Callable[..., Bundle]
Eventually = Callable[..., Any]

SLOW = """
import time
from edgefn import edge_function

@edge_function(deadline_ms=400, scale={"min": 1, "max": 3, "idle_s": 1.0})
def slow(x: int) -> int:
    time.sleep(0.05)
    return x
"""
CALLERS = 6


def test_a_load_beyond_one_replica_brings_more_that_are_drained_later(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Six callers of what runs for 50 ms have three replicas; when they have left, there is one."""
    shared_box.admin.deploy(make_bundle(SLOW))
    stop = threading.Event()
    statuses: list[int] = []

    def call() -> None:
        while not stop.is_set():
            statuses.append(shared_box.call("slow", x=1).status)

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        eventually(lambda: len(shared_box.replicas("slow")) == 3)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert statuses.count(200) > 0
    eventually(lambda: len(shared_box.replicas("slow")) == 1)
    assert shared_box.call("slow", x=5).json() == 5
    assert shared_box.admin.function("slow").deaths == 0
