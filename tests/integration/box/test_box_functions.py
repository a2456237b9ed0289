"""What happens to functions on a box: real processes, real sockets, real calls.

All tests share one box; each deploys functions of its own names.
"""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from edgefn.bundle.build import Bundle
from edgefn.bundle.keys import config_dir, own_key
from edgefn.bundle.signing import sign
from edgefn.errors import DeploymentFailed, NotDeployed

MakeBundle = Callable[..., Bundle]
Eventually = Callable[..., Any]


def adding(name: str, amount: int, options: str = "", before: str = "") -> str:
    """Returns a module with a function that adds `amount`."""
    return f"""
import os, signal, sys, time
from edgefn import InvalidInput, edge_function
{before}

@edge_function(name={name!r}, {options})
def function(x: int) -> int:
    return x + {amount}
"""


def acting(name: str, body: str, options: str = "") -> str:
    """Returns a module with a function that does something to its process."""
    return f"""
import ctypes, os, signal, sys, time
from edgefn import edge_function

@edge_function(name={name!r}, {options})
def function(x: int) -> int:
    if x > 0:
        {body}
    return os.getpid()
"""


def test_a_deployed_function_is_called(shared_box: Any, make_bundle: MakeBundle) -> None:
    """It is served when the deployment returns, and is in the status."""
    status = shared_box.admin.deploy(make_bundle(adding("first", 1)))
    assert (status.name, status.revision, status.state) == ("first", 1, "serving")
    assert [replica.state for replica in status.replicas] == ["ready"]
    assert status.replicas[0].private_bytes > 0
    response = shared_box.call("first", x=41)
    assert (response.status, response.json()) == (200, 42)
    assert response.headers["Edgefn-Variant"] == "python"


def test_an_update_fails_no_call(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Answers are old or new; the old replica ends."""
    shared_box.admin.deploy(make_bundle(adding("updated", 1)))
    old = shared_box.replicas("updated")[0].pid
    answers: list[tuple[int, Any]] = []
    done = threading.Event()

    def keep_calling() -> None:
        while not done.is_set():
            response = shared_box.call("updated", x=0)
            answers.append((response.status, response.json()))

    threads = [threading.Thread(target=keep_calling) for _ in range(4)]
    for thread in threads:
        thread.start()
    for amount in (2, 3):
        shared_box.admin.deploy(make_bundle(adding("updated", amount)))
    eventually(lambda: answers[-1] == (200, 3))
    done.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {(200, 1), (200, 2), (200, 3)}
    assert answers[-1] == (200, 3)
    eventually(lambda: old not in shared_box.processes())


def test_a_function_that_does_not_import_changes_nothing(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """The reason, the traceback and what was printed come back; the old revision serves."""
    shared_box.admin.deploy(make_bundle(adding("kept", 1)))
    broken = adding("kept", 2, before="print('so far'); import os as o; 'EDGEFN' in o.environ or 1")
    bundle = make_bundle(broken)
    poisoned = "\nif 'forkserver' in ' '.join(sys.orig_argv):\n    import no_such_module\n"
    bundle = make_bundle(broken + poisoned)
    with pytest.raises(DeploymentFailed, match="no_such_module") as caught:
        shared_box.admin.deploy(bundle)
    assert "function.py" in caught.value.detail["traceback"]
    assert "ModuleNotFoundError" in caught.value.detail["traceback"]
    assert "so far" in caught.value.detail["log"]
    assert shared_box.call("kept", x=1).json() == 2
    assert [(one.revision, one.state) for one in shared_box.admin.history("kept")] == [
        (2, "failed"),
        (1, "serving"),
    ]


def test_a_first_revision_that_fails_is_not_deployed(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """An exit at import is a failure like any other."""
    code = adding("never", 1) + "\nif 'forkserver' in ' '.join(sys.orig_argv):\n    sys.exit(3)\n"
    with pytest.raises(DeploymentFailed, match="SystemExit"):
        shared_box.admin.deploy(make_bundle(code))
    with pytest.raises(NotDeployed):
        shared_box.admin.function("never")
    assert shared_box.call("never", x=1).status == 404


def test_a_manifest_that_says_something_else_than_the_code_is_refused(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Callers rely on what the manifest says; the replica of the trial is ended."""
    bundle = make_bundle(adding("lying", 1))
    spec = msgspec.structs.replace(bundle.manifest.spec, timeout_s=1.0)
    manifest = msgspec.structs.replace(bundle.manifest, spec=spec)
    before = set(shared_box.processes())
    signature = sign(
        own_key(config_dir(os.environ)),
        manifest.digest(),
        sequence=bundle.signature.sequence,
    )
    with pytest.raises(DeploymentFailed, match="declares another spec for lying"):
        shared_box.admin.deploy(dataclasses.replace(bundle, manifest=manifest, signature=signature))
    eventually(lambda: set(shared_box.processes()) <= before)


def test_an_unmet_requirement_is_named(shared_box: Any, make_bundle: MakeBundle) -> None:
    """Before anything is started, if the function is to run with what the box has."""
    code = adding("needy", 1, options="requirements=['no-such-distribution>=2']")
    with pytest.raises(DeploymentFailed, match="no-such-distribution>=2 .not installed"):
        shared_box.admin.deploy(make_bundle(code, locked=False))


def test_a_rollback_is_a_new_revision_with_an_old_bundle(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """Back, and back again; the history says so."""
    for amount in (1, 2):
        shared_box.admin.deploy(make_bundle(adding("rolled", amount)))
    status = shared_box.admin.rollback("rolled")
    assert status.revision == 3
    assert shared_box.call("rolled", x=0).json() == 1
    assert shared_box.admin.rollback("rolled", 2).revision == 4
    assert shared_box.call("rolled", x=0).json() == 2
    history = shared_box.admin.history("rolled")
    assert [one.state for one in history] == ["serving", "superseded", "superseded", "superseded"]
    assert [one.note for one in history] == ["rollback to 2", "rollback to 1", "", ""]
    assert history[0].digest == history[2].digest


def test_a_removed_function_is_gone(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """With its replicas when the answer comes; its name may be used again."""
    status = shared_box.admin.deploy(make_bundle(adding("removed", 1)))
    pid = status.replicas[0].pid
    shared_box.admin.remove("removed")
    assert pid not in shared_box.processes()
    eventually(lambda: shared_box.call("removed", x=1).status == 404)
    with pytest.raises(NotDeployed):
        shared_box.admin.remove("removed")
    assert shared_box.admin.deploy(make_bundle(adding("removed", 1))).revision == 2


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("killed", "os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("crashed", "ctypes.string_at(0)", "killed by SIGSEGV"),
        ("left", "os._exit(0)", "exited with status 0"),
    ],
)
def test_a_death_costs_the_call_and_is_made_good(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually, name: str, body: str,
    reason: str,
) -> None:  # fmt: skip
    """The caller gets a 502, the next one an answer, within a second."""
    shared_box.admin.deploy(make_bundle(acting(name, body)))
    first = shared_box.call(name, x=0).json()
    response = shared_box.call(name, x=1)
    assert (response.status, response.json()["error"]["code"]) == (502, "replica_lost")
    eventually(lambda: shared_box.replicas(name), within_s=1.0)
    assert shared_box.call(name, x=0).json() != first
    status = shared_box.admin.function(name)
    assert (status.deaths, status.last_death.reason) == (1, reason)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("sleeping", "time.sleep(60)"),
        ("spinning", "while True: pass"),
        ("stopped", "os.kill(os.getpid(), signal.SIGSTOP)"),
    ],
)
def test_a_hang_is_ended_at_its_timeout(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually, name: str, body: str
) -> None:
    """The caller gets a 504, and the replica is replaced."""
    shared_box.admin.deploy(make_bundle(acting(name, body, "timeout_s=0.5")))
    first = shared_box.call(name, x=0).json()
    started_s = time.monotonic()
    response = shared_box.call(name, x=1)
    assert (response.status, response.json()["error"]["code"]) == (504, "timed_out")
    assert time.monotonic() - started_s < 10
    eventually(lambda: shared_box.replicas(name), within_s=1.0)
    assert shared_box.call(name, x=0).json() != first
    assert shared_box.admin.function(name).last_death.reason == "timed out after 0.5 s"


def test_a_frozen_replica_is_replaced_before_anybody_calls(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Its event loop does not turn, and the box sees it."""
    shared_box.admin.deploy(make_bundle(acting("frozen", "pass")))
    (replica,) = shared_box.replicas("frozen")
    os.kill(replica.pid, signal.SIGSTOP)
    eventually(
        lambda: {one.replica for one in shared_box.replicas("frozen")} - {replica.replica},
        within_s=10.0,
    )
    assert shared_box.call("frozen", x=0).status == 200


def test_an_async_function_that_cancels_itself_has_failed(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """Its caller is told at once, and the next call is answered."""
    code = """
    import asyncio
    from edgefn import edge_function

    @edge_function(name="selfish")
    async def selfish(x: int) -> int:
        if x:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        return x
    """
    shared_box.admin.deploy(make_bundle(code))
    response = shared_box.call("selfish", x=1)
    assert (response.status, response.json()["error"]["code"]) == (502, "function_failed")
    assert shared_box.call("selfish", x=0).status == 200


def test_a_function_that_keeps_dying_is_quarantined(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """After five deaths: a 503 that says why, until something else is deployed."""
    name = "deadly"
    shared_box.admin.deploy(make_bundle(acting(name, "os.abort()")))
    for _ in range(5):
        eventually(lambda: shared_box.replicas(name))
        assert shared_box.call(name, x=1).status == 502
    status = eventually(
        lambda: [one for one in [shared_box.admin.function(name)] if one.state == "quarantined"]
    )[0]
    assert "5 replicas died within 60 s" in status.reason
    assert "SIGABRT" in status.reason
    response = shared_box.call(name, x=0)
    assert (response.status, response.json()["error"]["code"]) == (503, "quarantined")
    assert shared_box.admin.deploy(make_bundle(adding(name, 1))).state == "serving"
    assert shared_box.call(name, x=0).json() == 1


def test_a_function_rests_at_zero_and_is_woken(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """The first call starts a replica and is answered by it; idle, it is drained."""
    name = "resting"
    options = "scale={'min': 0, 'max': 2, 'idle_s': 0.5}"
    shared_box.admin.deploy(make_bundle(adding(name, 1, options)))
    eventually(lambda: not shared_box.admin.function(name).replicas)
    response = shared_box.call(name, deadline_ms=2000, x=1)
    assert (response.status, response.json()) == (200, 2)
    eventually(lambda: not shared_box.admin.function(name).replicas)
    assert shared_box.admin.function(name).deaths == 0


def test_what_a_function_prints_is_in_its_log(shared_box: Any, make_bundle: MakeBundle) -> None:
    """Line by line, with its replica; a reader may wait for the next one."""
    code = adding("wordy", 1).replace("return", "print('x is', x)\n    return")
    replica = shared_box.admin.deploy(make_bundle(code)).replicas[0].replica
    page = shared_box.admin.log_page("wordy")
    later = threading.Timer(0.2, lambda: shared_box.call("wordy", x=7))
    later.start()
    page = shared_box.admin.log_page("wordy", after=page.next, wait_s=10.0)
    later.join()
    assert [(line.replica, line.text) for line in page.lines] == [(replica, "x is 7")]


def test_a_flood_of_output_stops_nobody(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """Others are answered, the log says what was dropped, and its files stay small."""
    shared_box.admin.deploy(make_bundle(adding("bystander", 1)))
    flood = "end = time.monotonic() + 1\n        while time.monotonic() < end: print('x' * 99)"
    shared_box.admin.deploy(make_bundle(acting("flooding", flood, "timeout_s=20.0")))
    flooding = threading.Thread(target=lambda: shared_box.call("flooding", x=1))
    flooding.start()
    while flooding.is_alive():
        assert shared_box.call("bystander", x=1).status == 200
    dropped = eventually(
        lambda: [
            line.text
            for line in shared_box.admin.log_page("flooding", limit=500).lines
            if "lines dropped" in line.text
        ]
    )
    assert dropped[0].startswith("edgefn: ")
    files = (shared_box.state_dir / "logs").glob("flooding*")
    assert sum(path.stat().st_size for path in files) < 16 * 1024 * 1024


def test_metrics_count_calls(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """A gateway that is killed is restarted at once, and what it had reported stays counted."""
    shared_box.admin.deploy(make_bundle(adding("counted", 1)))
    for _ in range(3):
        shared_box.call("counted", x=1)
    eventually(lambda: shared_box.admin.function("counted").calls == 3)
    os.kill(shared_box.admin.status().gateways[0].pid, signal.SIGKILL)
    shared_box.http.clear()
    eventually(lambda: _answers(shared_box, "counted"))
    text = shared_box.http.request("GET", f"{shared_box.url}/metrics").data.decode()
    assert 'edgefn_calls_total{function="counted",status="200"} 4.0' in text
    variant = shared_box.admin.function("counted").variants[0].name
    assert f'edgefn_replicas{{function="counted",state="ready",variant="{variant}"}} 1.0' in text
    assert "edgefn_build_info{" in text


def _answers(box: Any, name: str) -> bool:
    try:
        return bool(box.call(name, x=1).status == 200)
    except Exception:  # the gateway is on its way up
        return False
