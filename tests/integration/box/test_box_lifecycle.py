"""Boxes that start, end, die and come back."""

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.bundle.build import Bundle

MakeBundle = Callable[[str], Bundle]
StartBox = Callable[..., Any]

SLOW = """
    import time
    from edgefn import edge_function

    @edge_function(timeout_s=8.0, scale={"min": 1, "max": 2})
    def slow(for_s: float) -> str:
        time.sleep(for_s)
        return "slept"
"""


def test_a_box_comes_back_with_what_was_deployed(
    start_box: StartBox, make_bundle: MakeBundle
) -> None:
    """After an end in order, and with its files verified: damaged ones are written again."""
    box = start_box()
    digest = box.admin.deploy(make_bundle(SLOW)).digest
    assert box.call("slow", for_s=0.0).json() == "slept"
    assert box.end() == 0
    damaged = box.state_dir / "revisions" / digest / "function.py"
    damaged.chmod(0o600)
    damaged.write_text("raise SystemExit")
    box = start_box()
    assert box.call("slow", deadline_ms=5000, for_s=0.0).json() == "slept"
    assert box.admin.function("slow").revision == 1


def test_a_function_whose_files_are_lost_does_not_stop_the_box(
    start_box: StartBox, make_bundle: MakeBundle
) -> None:
    """It is quarantined with the reason, until it is deployed again."""
    bundle = make_bundle(SLOW)
    box = start_box()
    box.admin.deploy(bundle)
    box.end()
    shutil.rmtree(box.state_dir / "revisions")
    shutil.rmtree(box.state_dir / "blobs")
    box = start_box()
    status = box.admin.function("slow")
    assert status.state == "quarantined"
    assert "its files are damaged" in status.reason
    assert box.call("slow", for_s=0.0).status == 503
    assert box.admin.deploy(bundle).revision == 2
    assert box.call("slow", for_s=0.0).status == 200


def test_a_box_ends_in_order(
    start_box: StartBox, make_bundle: MakeBundle, eventually: Callable[..., Any]
) -> None:
    """SIGTERM: the call under way is answered, then no process and no run directory is left."""
    box = start_box(gateways=2)
    box.admin.deploy(make_bundle(SLOW))
    run_directory = Path((box.state_dir / "run").read_text())
    assert run_directory.is_dir()
    assert len(box.processes()) == 5  # the box, two gateways, the forkserver, a replica
    answers: list[Any] = []
    call = threading.Thread(target=lambda: answers.append(box.call("slow", for_s=1.5)))
    call.start()
    eventually(lambda: box.replicas("slow")[0].ongoing == 1)
    assert box.end() == 0
    call.join()
    assert [(answer.status, answer.json()) for answer in answers] == [(200, "slept")]
    assert box.processes() == []
    assert not run_directory.exists()
    left = {path.name for path in box.state_dir.iterdir()}
    assert left - {"logs"} == {"access", "blobs", "lock", "outbox.db", "revisions", "state.db"}


def test_a_second_signal_ends_a_box_at_once(
    start_box: StartBox, make_bundle: MakeBundle, eventually: Callable[..., Any]
) -> None:
    """Without waiting for the call under way."""
    box = start_box()
    box.admin.deploy(make_bundle(SLOW))
    call = threading.Thread(target=_try_call, args=(box,))
    call.start()
    eventually(lambda: box.replicas("slow")[0].ongoing == 1)
    started_s = time.monotonic()
    box.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert box.end(signal.SIGINT) == 1
    assert time.monotonic() - started_s < 9.0
    call.join()
    assert box.processes() == []
    assert "Traceback" not in box.errors


def test_a_killed_box_leaves_no_orphan(
    start_box: StartBox, make_bundle: MakeBundle, eventually: Callable[..., Any]
) -> None:
    """Not for two seconds, even in the middle of a call; the next box removes its run directory."""
    box = start_box()
    box.admin.deploy(make_bundle(SLOW))
    run_directory = Path((box.state_dir / "run").read_text())
    call = threading.Thread(target=_try_call, args=(box,))
    call.start()
    eventually(lambda: box.replicas("slow")[0].ongoing == 1)
    box.process.kill()
    eventually(lambda: not box.processes(), within_s=2.0)
    call.join()
    assert run_directory.exists()
    box = start_box()
    assert not run_directory.exists()
    assert box.call("slow", deadline_ms=5000, for_s=0.0).status == 200


def test_a_killed_forkserver_is_replaced(
    start_box: StartBox, make_bundle: MakeBundle, eventually: Callable[..., Any]
) -> None:
    """Its replicas end with it, and new ones take their place; nobody is quarantined for it."""
    box = start_box()
    box.admin.deploy(make_bundle(SLOW))
    replica = box.replicas("slow")[0].pid
    os.kill(_parent_of(replica), signal.SIGKILL)
    eventually(lambda: replica not in box.processes(), within_s=2.0)
    eventually(lambda: box.replicas("slow"))
    status = box.admin.function("slow")
    assert (status.state, status.deaths) == ("serving", 1)
    assert "forkserver" in status.last_death.reason


def test_a_second_box_on_one_state_directory_is_refused(start_box: StartBox) -> None:
    """It exits with 3 and a sentence that names the first."""
    first = start_box()
    second = start_box(ready=False)
    assert second.wait() == 3
    assert f"process {first.process.pid}, uses the state directory" in second.errors
    assert "Traceback" not in second.errors


def test_a_port_in_use_is_refused(start_box: StartBox) -> None:
    """It exits with 2 and a sentence that names the port, however many gateways it was to have."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for gateways in (1, 2):
            box = start_box(ready=False, port=port, gateways=gateways)
            assert box.wait() == 2
            assert f"port {port} of 127.0.0.1 is in use" in box.errors


@pytest.mark.parametrize(
    ("host", "reason"), [("0.0.0.0", "--insecure"), ("no.such.host.invalid", "does not resolve")]
)
def test_an_address_that_does_not_do_is_refused(
    start_box: StartBox, host: str, reason: str
) -> None:
    """It exits with 2 and says what to do."""
    box = start_box(ready=False, host=host)
    assert box.wait() == 2
    assert reason in box.errors
    assert "Traceback" not in box.errors


def _try_call(box: Any) -> None:
    try:
        box.call("slow", for_s=5.0)
    except Exception:  # whatever becomes of it
        return


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
