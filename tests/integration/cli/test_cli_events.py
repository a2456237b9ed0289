"""Events, from the command line, on a real box."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from edgefn.client.events import PutEvent

Command = Callable[..., "subprocess.CompletedProcess[str]"]
NOWHERE = "webhook:http://127.0.0.1:1/events"


def test_an_operator_sees_what_waits_and_why(edgefn: Command, shared_box: Any) -> None:
    """And is the only one who can have it forgotten."""
    box = {"EDGEFN_URL": shared_box.url}
    assert "no event waits" in edgefn("events", "ls", env=box).stderr
    to = NOWHERE.replace("//", "//user:secret@")
    shared_box.admin.put_events([PutEvent(to=to, source="press", data={"n": n}) for n in (1, 2)])
    shown = edgefn("events", "tail", "-n", "1", env=box).stdout
    assert "press" in shown and '{"n":2}' in shown and '{"n":1}' not in shown
    listed = edgefn("events", "ls", "--json", env=box)
    (waiting,) = json.loads(listed.stdout)["destinations"]
    assert (waiting["to"], waiting["waiting"]) == (NOWHERE, 2)
    assert "dropped 2 events" in edgefn("events", "drop", NOWHERE, env=box).stderr
    assert "no events wait" in edgefn("events", "drop", NOWHERE, env=box, code=1).stderr
