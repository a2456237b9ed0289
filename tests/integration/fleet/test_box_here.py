"""The box of a machine, as an actor on it finds and starts it: real boxes, without Ray."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgefn.access.files import AccessFiles
from edgefn.client.admin import AdminClient
from edgefn.errors import EdgefnError
from edgefn.fleet.box_here import BoxHere
from edgefn.fleet.machines import RayMachine
from edgefn_runtime.lease_words import STATE_DIR


def machine(box, *, is_head=False):
    return RayMachine(
        id=box, address="127.0.0.1", is_head=is_head, box=box, tier="cloud", site="dc-1"
    )


@pytest.fixture
def here(tmp_path):
    """Returns the place of a box of this name; whatever runs there is ended with the test."""
    found = []

    def place(name):
        environ = {
            **os.environ,
            STATE_DIR: str(tmp_path / name),
            "EDGEFN_PORT": "0",
            "EDGEFN_LISTEN": "127.0.0.1:0",
            "RAY_AUTH_TOKEN": "not for functions",
            "OMP_NUM_THREADS": "1",
        }
        found.append(BoxHere(environ))
        return found[-1]

    yield place
    for box in found:
        if look(box).url:
            down(box)


def down(box):
    return subprocess.run(
        [sys.executable, "-P", "-m", "edgefn", "down", f"--state-dir={box.state_dir}"],
        capture_output=True,
        timeout=60,
    )


def pid(found):
    with AdminClient(found.url) as admin:
        return admin.status().pid


def look(box):
    return box.look(asks_token=True)


def test_a_hub_and_a_box_that_joins_it(here):
    """The second has a token of the first; neither has what Ray set for its own processes."""
    hub, other = here("hub"), here("other")
    assert (look(hub).url, look(hub).is_hub) == ("", False)
    hub.start(machine("hub", is_head=True))
    found = look(hub)
    assert (found.is_hub, found.joined) == (True, "")
    token = hub.join_token("other", "")
    other.start(machine("other"), join=found.secure_url, token=token)
    assert (look(other).is_hub, look(other).joined) == (False, found.secure_url)
    environ = Path(f"/proc/{pid(look(other))}/environ").read_bytes()
    assert b"RAY_" not in environ
    assert b"OMP_NUM_THREADS" not in environ


def test_one_that_died_is_told_from_one_that_was_stopped(here):
    """The first is to be started again, the second not."""
    hub = here("hub")
    assert not hub.died
    hub.start(machine("hub", is_head=True))
    assert not hub.died
    process = os.pidfd_open(pid(look(hub)))
    signal.pidfd_send_signal(process, signal.SIGKILL)
    assert select.select([process], [], [], 10)[0]
    os.close(process)
    assert hub.died
    assert look(hub).url == ""
    hub.start(machine("hub", is_head=True))
    assert not hub.died
    assert look(hub).is_hub
    assert down(hub).returncode == 0
    assert not hub.died


def test_why_it_does_not_start_is_said(here):
    """In the words of `edgefn up`."""
    other = here("other")
    with pytest.raises(EdgefnError, match="token"):
        other.start(machine("other"), join="https://127.0.0.1:1")
    assert not AccessFiles(other.state_dir).hub()
