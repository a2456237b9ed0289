"""Function updates under load: old or new, and never a failed call."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefn.bundle.build import Bundle

ROLLOVER = Path(__file__).parents[2] / "bench" / "rollover.py"

SLOW_START = """
    import sys, time
    from edgefn import edge_function

    if "forkserver" in " ".join(sys.orig_argv):
        time.sleep({start_s})

    @edge_function(name="sleepy", scale={{"min": 0, "max": 1, "idle_s": {idle_s}}})
    def sleepy(x: int) -> int:
        return {revision}
"""


def test_updates_under_load_fail_no_call() -> None:
    """Kept and closed connections, two gateways; the bench in short, which takes a box of its own.

    Nobody is answered by an older revision after a newer one on the same connection.
    """
    ran = subprocess.run(
        [sys.executable, str(ROLLOVER), "--calls", "2000", "--rollovers", "4"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["calls"] >= 2000
    assert (report["failed"], report["went_back"]) == (0, 0)
    assert report["revisions_seen"] == 5


def test_calls_that_wait_for_the_old_revision_are_answered_by_the_new(
    start_box: Callable[..., Any],
    make_bundle: Callable[[str], Bundle],
    eventually: Callable[..., Any],
) -> None:
    """The replica that they were waiting for is never ready; that of the new one is."""
    box = start_box()
    box.admin.deploy(make_bundle(SLOW_START.format(start_s=0.2, idle_s=0.1, revision=1)))
    eventually(lambda: not box.admin.function("sleepy").replicas)
    slow = make_bundle(SLOW_START.format(start_s=60, idle_s=0.1, revision=1))
    replace_code(box, slow)
    quick = make_bundle(SLOW_START.format(start_s=0, idle_s=60, revision=2))
    answers: list[Any] = []
    callers = [
        threading.Thread(target=lambda: answers.append(box.call("sleepy", 15_000.0, x=1)))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    eventually(lambda: box.replicas("sleepy", "starting"))
    box.admin.deploy(quick)
    for caller in callers:
        caller.join(15)
    assert [(answer.status, answer.json()) for answer in answers] == [(200, 2)] * 4


def replace_code(box: Any, bundle: Bundle) -> None:
    """Changes the code of what serves behind the box's back: its next start takes long."""
    (code,) = (box.state_dir / "revisions").glob("*/function.py")
    code.chmod(0o600)
    code.write_bytes(bundle.files[bundle.manifest.file("function.py").sha256].read_bytes())


def test_a_box_killed_in_a_deployment_serves_old_or_new(
    start_box: Callable[..., Any], make_bundle: Callable[[str], Bundle]
) -> None:
    """Whenever it is killed: early, late, or when all was done."""
    bundles = [
        make_bundle(SLOW_START.format(start_s=0.02, idle_s=60, revision=index))
        for index in range(2)
    ]
    box = start_box()
    box.admin.deploy(bundles[0])
    deploying = threading.Thread(target=_deploy, args=(box, bundles[1]))
    deploying.start()
    time.sleep(random.uniform(0.0, 0.15))
    os.kill(box.process.pid, signal.SIGKILL)
    box.wait()
    deploying.join(10)
    box = start_box()
    response = box.call("sleepy", x=1)
    serving = [one.digest for one in box.admin.history("sleepy") if one.state == "serving"]
    assert response.status == 200
    assert serving == [bundles[response.json()].manifest.digest()]


def _deploy(box: Any, bundle: Bundle) -> None:
    try:
        box.admin.deploy(bundle)
    except Exception:  # the box is killed meanwhile
        return
